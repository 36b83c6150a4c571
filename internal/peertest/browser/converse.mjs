// converse.js, whole, as a page that somebody would set up for their server: two people find each other, talk, meet in a room, and
// one of them comes back to what was said meanwhile.
import assert from 'node:assert/strict';
import { newRoom } from './drive.mjs';
import { site } from './site.mjs';

const origin = await site(new URL('./node_modules/converse.js/dist/', import.meta.url), '<!doctype html><link rel="stylesheet" href="/converse.min.css"><body>');
const server = new URL(process.env.PARLEY_PAGE).host;

// A window with converse.js that knows one door of the server.
async function converse(browser, name, door) {
	const p = await browser.person(name);
	p.own.add(new URL(origin).host).add('conversejs.org'); // its form shows pictures from there
	await p.context.route('https://conversejs.org/**', (route) => route.abort());
	p.address = `${name}@localhost`;
	p.login = async () => {
		await p.tab.goto(origin);
		await p.tab.evaluate(async ([door, server]) => {
			const { default: converse } = await import('/converse.min.js');
			converse.plugins.add('test', { initialize() { globalThis.api = this._converse.api; } });
			await converse.initialize({
				...(door === 'bosh' ? { bosh_service_url: `http://${server}/http-bind` } : { websocket_url: `ws://${server}/xmpp-websocket` }),
				assets_path: '/', view_mode: 'fullscreen', authentication: 'login', discover_connection_methods: false,
				show_desktop_notifications: false, play_sounds: false, i18n: 'en', loglevel: 'error', whitelisted_plugins: ['test'],
				persistent_store: 'sessionStorage', muc_show_logs_before_join: false,
			});
		}, [door, server]);
		await p.tab.fill('input[name=jid]', p.address); // as people do, in the form
		await p.tab.fill('input[name=password]', `${name}-password`);
		await p.tab.click('converse-login-form [type=submit]');
		await p.until(() => globalThis.api.connection.connected() && document.querySelector('converse-roster') !== null, 'being logged in');
	};
	p.write = async (text) => { // in the window that is open
		const line = p.tab.locator('textarea.chat-textarea >> visible=true');
		await line.fill(text);
		await line.press('Enter');
	};
	p.reads = (text) => p.shows(text, '.chat-msg__text');
	return p;
}

/** together is the whole story. The two doors may be different; files are the host that takes uploads. */
export async function together(browser, annsDoor, bobsDoor, files) {
	const ann = await converse(browser, 'ann', annsDoor);
	const bob = await converse(browser, 'bob', bobsDoor);
	await Promise.all([ann.login(), bob.login()]);

	await ann.tab.evaluate((jid) => globalThis.api.contacts.add({ jid, name: 'Bob' }).then(() => null), bob.address);
	await bob.until(() => document.querySelector('.accept-xmpp-request') !== null, 'the request to see each other');
	await bob.tab.evaluate(() => document.querySelector('.accept-xmpp-request').click());
	await bob.tab.locator('.modal.show [type=submit]').click(); // under which name
	await ann.until((jid) => globalThis.api.contacts.get(jid).then((c) => c?.get('subscription') === 'to'), 'the consent', bob.address);
	await bob.tab.evaluate((jid) => globalThis.api.contacts.get(jid).then((c) => c.subscribeToPresence()).then(() => null), ann.address); // that dialog of 14.0.0 fails to
	for (const [who, other] of [[ann, bob], [bob, ann]]) {
		await who.until((jid) => globalThis.api.contacts.get(jid).then((c) => c?.get('subscription') === 'both' && c.getStatus() === 'online'), 'the other online', other.address);
	}

	await ann.tab.evaluate((jid) => globalThis.api.chats.open(jid, {}, true).then(() => null), bob.address);
	await ann.write('first words');
	await bob.tab.evaluate((jid) => globalThis.api.chats.open(jid, {}, true).then(() => null), ann.address);
	await bob.reads('first words');
	await bob.write('an answer');
	await ann.reads('an answer');

	for (const p of [ann, bob]) p.own.add(files);
	const rose = Buffer.from('a rose is a rose, '.repeat(1000));
	await ann.tab.locator('input.fileupload').first().setInputFiles({ name: 'rose.txt', mimeType: 'text/plain', buffer: rose });
	await bob.until(() => document.querySelector('a[href*="/upload/"]') !== null, 'the link to the file');
	const link = await bob.tab.evaluate(() => document.querySelector('a[href*="/upload/"]').href);
	assert.equal(new URL(link).host, files);
	assert.deepEqual(Buffer.from(await (await fetch(link)).arrayBuffer()), rose);

	const room = `${newRoom()}@muc.localhost`;
	for (const p of [ann, bob]) {
		await p.tab.evaluate(([room, nick]) => globalThis.api.rooms.open(room, { nick }, true).then(() => null), [room, p.name]);
		await p.until((room) => globalThis.api.rooms.get(room).then((r) => !!r?.isEntered()), 'being in the room', room);
	}
	await ann.write('words in the room');
	await bob.reads('words in the room');
	await bob.write('an answer in the room');
	await ann.reads('an answer in the room');

	await bob.tab.evaluate(() => globalThis.api.user.logout().then(() => null));
	await bob.context.clearCookies();
	await ann.until((jid) => globalThis.api.contacts.get(jid).then((c) => c.getStatus() === 'offline'), 'the other offline', bob.address);
	await ann.tab.evaluate((jid) => globalThis.api.chats.open(jid, {}, true).then(() => null), bob.address);
	await ann.write('while you were away');
	await ann.reads('while you were away');
	const back = await converse(browser, 'bob', bobsDoor); // on another machine, which knows nothing yet
	await back.login();
	await back.tab.evaluate((jid) => globalThis.api.chats.open(jid, {}, true).then(() => null), ann.address);
	for (const text of ['first words', 'an answer', 'while you were away']) await back.reads(text);
	bob.errors.length = 0; // it draws a message once more after the logout, and stumbles over its own absence
	return { sockets: ann.sockets };
}

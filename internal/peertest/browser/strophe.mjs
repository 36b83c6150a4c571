// An application of strophe.js with the plugins that are released for it, from a web server of its own, over BOSH: two people
// become contacts, talk, share a file; one of them comes back on another machine and finds the contact and what was said.
import assert from 'node:assert/strict';
import { site } from './site.mjs';

const scripts = ['strophe.js/dist/strophe.umd.min.js', 'strophejs-plugin-rsm/lib/strophe.rsm.js', 'strophejs-plugin-mam/lib/strophe.mam.js', 'strophejs-plugin-roster/lib/strophe.roster.js'];
const origin = await site(new URL('./node_modules/', import.meta.url), `<!doctype html>${scripts.map((s) => `<script src="/${s}"></script>`).join('')}<body>`);
const server = new URL(process.env.PARLEY_PAGE).host;

const address = (name) => `${name}@localhost`;

// A window in which somebody has logged in, has the contacts, and is there. files is the host that takes uploads.
async function enter(browser, name, files) {
	const p = await browser.person(name);
	p.own.add(new URL(origin).host).add(files);
	await p.tab.goto(origin);
	await p.tab.evaluate(([door, address, password]) => {
		const { Strophe } = globalThis;
		const c = globalThis.connection = new Strophe.Connection(door);
		globalThis.statuses = [];
		globalThis.wishes = []; // of others, to see when one is there
		globalThis.bodies = [];
		c.addHandler((s) => { globalThis.wishes.push(Strophe.getBareJidFromJid(s.getAttribute('from'))); return true; }, null, 'presence', 'subscribe');
		c.addHandler((s) => {
			const [body] = s.getElementsByTagName('body');
			if (body) globalThis.bodies.push(body.textContent);
			return true;
		}, null, 'message', 'chat');
		c.connect(address, password, (status) => globalThis.statuses.push(status), 5);
	}, [`http://${server}/http-bind`, address(name), `${name}-password`]);
	await p.until(() => globalThis.statuses.includes(globalThis.Strophe.Status.CONNECTED), 'strophe.js being connected');
	await p.tab.evaluate(() => new Promise((done) => globalThis.connection.roster.get(done)).then(() => globalThis.connection.send(globalThis.$pres())));
	p.subscribe = (to) => p.tab.evaluate((to) => globalThis.connection.roster.subscribe(to), to);
	p.agree = async (to) => {
		await p.until((to) => globalThis.wishes.includes(to), 'being asked', to);
		await p.tab.evaluate((to) => globalThis.connection.roster.authorize(to), to);
	};
	p.say = (to, body) => p.tab.evaluate(([to, body]) => globalThis.connection.send(globalThis.$msg({ to, type: 'chat' }).c('body').t(body)), [to, body]);
	p.hears = (body) => p.until((body) => globalThis.bodies.includes(body), `hearing ${body}`, body);
	return p;
}

// In the page: the address of the file of somebody's that was uploaded to a slot of the server's service (XEP-0363), by the page itself.
async function upload([domain, name, content]) {
	const { $iq, Strophe } = globalThis;
	const ask = (to, tag, attributes) => new Promise((done, failed) => {
		globalThis.connection.sendIQ($iq({ to, type: 'get' }).c(tag, attributes), done, (e) => failed(new Error(e?.outerHTML ?? 'no answer')));
	});
	const ns = 'urn:xmpp:http:upload:0';
	let service;
	for (const item of (await ask(domain, 'query', { xmlns: Strophe.NS.DISCO_ITEMS })).getElementsByTagName('item')) {
		const info = await ask(item.getAttribute('jid'), 'query', { xmlns: Strophe.NS.DISCO_INFO });
		if ([...info.getElementsByTagName('feature')].some((f) => f.getAttribute('var') === ns)) service = item.getAttribute('jid');
	}
	const slot = await ask(service, 'request', { xmlns: ns, filename: name, size: content.length, 'content-type': 'image/png' });
	const [put] = slot.getElementsByTagName('put');
	const headers = [...put.getElementsByTagName('header')].map((h) => [h.getAttribute('name'), h.textContent]);
	const answer = await fetch(put.getAttribute('url'), { method: 'PUT', body: new Uint8Array(content), headers: [...headers, ['Content-Type', 'image/png']] });
	if (answer.status !== 201) throw new Error(`PUT: ${answer.status}`);
	return slot.getElementsByTagName('get')[0].getAttribute('url');
}

// In the page: what an archive has of the conversation with somebody, read by pages of two.
async function remembered([archive, other]) {
	const { Strophe } = globalThis;
	const bodies = [];
	let pages = 0;
	for (let after, complete = false; !complete; pages++) {
		if (pages > 10) throw new Error('the archive has no end');
		const end = await new Promise((done) => {
			globalThis.connection.mam.query(archive, { with: other, max: 2, after, onMessage: (m) => { bodies.push(m.getElementsByTagName('body')[0].textContent); return true; }, onComplete: done });
		});
		const [fin] = end.getElementsByTagName('fin');
		complete = fin.getAttribute('complete') === 'true';
		after = new Strophe.RSM({ xml: fin }).last;
	}
	return { bodies, pages };
}

/** together is the whole story. files are the host that takes uploads. */
export async function together(browser, files) {
	const ann = await enter(browser, 'ann', files);
	const bob = await enter(browser, 'bob', files);

	await ann.tab.evaluate((jid) => new Promise((done) => globalThis.connection.roster.add(jid, 'Bob', ['Builders'], done)).then(() => null), address('bob'));
	await ann.subscribe(address('bob'));
	await bob.agree(address('ann'));
	await bob.subscribe(address('ann'));
	await ann.agree(address('bob'));
	for (const [p, other] of [[ann, 'bob'], [bob, 'ann']]) {
		await p.until((jid) => {
			const contact = globalThis.connection.roster.findItem(jid);
			return contact && contact.subscription === 'both' && Object.keys(contact.resources).length === 1;
		}, 'the other being a contact who is there', address(other));
	}

	await ann.say(address('bob'), 'first words <&>');
	await bob.hears('first words <&>');
	await bob.say(address('ann'), 'an answer');
	await ann.hears('an answer');

	const content = Array.from({ length: 50_000 }, (_, i) => (i * 31 + (i >> 8)) & 255);
	const link = await ann.tab.evaluate(upload, ['localhost', 'a red rose.png', content]);
	assert.equal(new URL(link).host, files);
	assert.notEqual(new URL(link).origin, origin);
	await ann.say(address('bob'), link);
	await bob.hears(link);
	const got = await bob.tab.evaluate(async (link) => {
		const answer = await fetch(link);
		return { type: answer.headers.get('Content-Type'), bytes: [...new Uint8Array(await answer.arrayBuffer())] };
	}, link);
	assert.equal(got.type, 'image/png');
	assert.deepEqual(got.bytes, content);

	await ann.tab.evaluate(() => globalThis.connection.disconnect());
	await ann.until(() => globalThis.statuses.at(-1) === globalThis.Strophe.Status.DISCONNECTED, 'the end');
	await bob.until((jid) => Object.keys(globalThis.connection.roster.findItem(jid).resources).length === 0, 'the other having left', address('ann'));
	const back = await enter(browser, 'ann', files); // on another machine, which knows nothing yet
	const contact = await back.tab.evaluate((jid) => {
		const { name, subscription, groups } = globalThis.connection.roster.findItem(jid);
		return { name, subscription, groups };
	}, address('bob'));
	assert.deepEqual(contact, { name: 'Bob', subscription: 'both', groups: ['Builders'] });
	const { bodies, pages } = await back.tab.evaluate(remembered, [address('ann'), address('bob')]);
	assert.deepEqual(bodies, ['first words <&>', 'an answer', link]);
	assert.equal(pages, 2);
	return { pages };
}

// What the page says: when a step fails, of what others write, and to who cannot see, click, or has a small screen.
import assert from 'node:assert/strict';
import { ask, newRoom, pair } from './drive.mjs';

const admin = (person, query) => person.tab.evaluate(async (inner) => {
	const { fromDOM } = await import('/static/js/xml.js');
	const tree = fromDOM(new DOMParser().parseFromString(inner, 'application/xml').documentElement);
	await globalThis.parley.stream.iq(globalThis.parley.room.jid, tree);
}, query);

/** unreachable: no server; the page says so, tries again, and gets in when there is one. */
export async function unreachable(browser) {
	const ann = await browser.person('Ann');
	await ann.open(`/${newRoom()}`);
	await ann.lookGood();
	await ann.tab.fill('#name', 'Ann');
	await ask('kill');
	await ann.tab.click('#enter');
	await ann.shows('The server cannot be reached. Trying again in');
	await ask('start');
	await ann.inside();
}

/** login: a token that is none is refused, with the reason. */
export async function login(browser) {
	const ann = await browser.person('Ann');
	const room = newRoom();
	await ann.open(`/${room}?jwt=this.is.nothing`);
	assert.equal(new URL(ann.tab.url()).search, '', 'the token stays in the address');
	await ann.lookGood();
	await ann.tab.click('#enter');
	await ann.shows('The server has refused the login.', '[role=alert]');
	return { words: await ann.tab.innerText('[role=alert]') };
}

/** password: a locked room asks for its password; a wrong one is told, the right one opens. */
export async function password(browser) {
	const room = newRoom();
	const ann = await browser.person('Ann');
	await ann.enter(room);
	await ann.inside();
	await admin(ann, `<query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit">
		<field var="FORM_TYPE"><value>http://jabber.org/protocol/muc#roomconfig</value></field>
		<field var="muc#roomconfig_passwordprotectedroom"><value>1</value></field><field var="muc#roomconfig_roomsecret"><value>open sesame</value></field></x></query>`);
	const bob = await browser.person('Bob');
	await bob.enter(room);
	await bob.shows('This room has a password.', '[role=alert]');
	await bob.tab.fill('#password', 'wrong');
	await bob.tab.click('#enter');
	await bob.shows('That is not the password of this room.', '[role=alert]');
	await bob.tab.fill('#password', 'open sesame');
	await bob.tab.click('#enter');
	await Promise.all([ann.connected(), bob.connected()]);
}

/** thrown: who is kicked or banned is told by whom and why; a banned one does not get in again. */
export async function thrown(browser) {
	const room = newRoom();
	const [ann, bob] = await pair(browser, room);
	const id = (await bob.view()).me;
	await admin(ann, `<query xmlns="http://jabber.org/protocol/muc#admin"><item nick="${id}" role="none"><reason>too loud</reason></item></query>`);
	await bob.shows('You were removed from the room by Ann. Reason: “too loud”', '[role=alert]');
	await ann.shows('Bob was removed');
	return { words: await bob.tab.innerText('[role=alert]') };
}

/** full: a room that takes nobody more says so. The two are in; the room takes two. */
export async function members(browser) {
	const room = newRoom();
	const ann = await browser.person('Ann');
	await ann.enter(room);
	await ann.inside();
	await admin(ann, `<query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit">
		<field var="FORM_TYPE"><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var="muc#roomconfig_membersonly"><value>1</value></field></x></query>`);
	const bob = await browser.person('Bob');
	await bob.enter(room);
	await bob.shows('This room is for its members only', '[role=alert]');
}

/** nowhere: no path can be found, as only a relay may be used and the server has none. */
export async function nowhere(browser) {
	const room = newRoom();
	const ann = await browser.person('Ann');
	const bob = await browser.person('Bob');
	const hash = '#config.iceTransportPolicy=relay';
	await ann.enter(room, hash);
	await ann.inside();
	await bob.enter(room, hash);
	await Promise.all([ann.shows('No way was found to Bob. This server offers no relay that could help.', '#state'), bob.shows('No way was found to Ann.', '#state')]);
	await ann.shows('Try again', '#state');
}

/** deaf: camera and microphone are not allowed; the page says so and one can still see the other. */
export async function deaf(browser) {
	const room = newRoom();
	const ann = await browser.person('Ann');
	await ann.tab.addInitScript(() => {
		navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('Permission denied', 'NotAllowedError'));
	});
	await ann.open(`/${room}`);
	await ann.shows('The camera is not allowed', '.problems');
	await ann.shows('The microphone is not allowed', '.problems');
	const bob = await browser.person('Bob');
	await ann.enter(room);
	await ann.inside();
	await bob.enter(room);
	await Promise.all([ann.connected(), bob.connected()]);
	await ann.sees(30);
	await ann.hears();
	await bob.until(() => globalThis.parley.view.members[0].audio === false && globalThis.parley.view.members[0].video === false, 'Ann being muted');
	await bob.shows('Camera is off', '.remote');
}

/** text: names and messages with markup and invisible characters are shown as text, and pretend nothing. */
export async function text(browser) {
	const room = newRoom();
	const ann = await browser.person('Ann');
	await ann.enter(room);
	await ann.inside();
	const mallory = await browser.person('<img src=x onerror=alert(1)>\u202egnp.exe\u200b\u2066');
	ann.tab.on('dialog', () => ann.errors.push('a script of somebody else has run'));
	await mallory.enter(room);
	await Promise.all([ann.connected(), mallory.connected()]);
	assert.equal(await ann.tab.innerText('.remote .tag bdi'), '<img src=x onerror=alert(1)>gnp.exe');
	await ann.press('c');
	const evil = '<script>alert(1)</script><b>bold</b> javascript:alert(1) \u202eabc https://example.org/?a=1&b="x';
	await mallory.tab.evaluate((body) => globalThis.parley.say(body), evil);
	await ann.until(() => globalThis.parley.view.messages.length > 0, 'the message');
	const shown = await ann.tab.innerText('.message .text');
	assert.equal(shown, evil.replace('\u202e', ''));
	assert.deepEqual(await ann.tab.$$eval('.message a', (list) => list.map((a) => [a.href, a.rel, a.target])), [['https://example.org/?a=1&b=', 'noopener noreferrer nofollow', '_blank']]);
	assert.equal(await ann.tab.$$eval('.message b, .message script, .tag img', (list) => list.length), 0);
	// A name that the sender's own page would have cleaned, straight from the wire.
	await mallory.tab.evaluate(() => globalThis.parley.room.tell({ shown: '\u202e\u2067\u200b' }));
	await ann.until(() => globalThis.parley.view.members[0].name === 'Guest', 'a name for who has none');
}

/** keyboard: the whole call by keys; single keys do nothing where one writes, and can be turned off. */
export async function keyboard(browser) {
	const room = newRoom();
	const ann = await browser.person('Ann');
	await ann.open('/');
	await ann.lookGood();
	const suggested = await ann.tab.inputValue('#room');
	assert.match(suggested, /^[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{5}$/);
	await ann.tab.focus('#name');
	await ann.tab.keyboard.type('Ann');
	await ann.press('Tab');
	await ann.tab.keyboard.press('Control+A');
	await ann.tab.keyboard.type(room);
	await ann.press('Enter');
	await ann.inside();
	assert.equal(new URL(ann.tab.url()).pathname, `/${room}`);
	const audio = () => ann.tab.evaluate(() => globalThis.parley.media.on.audio);
	await ann.press('m');
	assert.equal(await audio(), false);
	await ann.press('c');
	await ann.until(() => document.activeElement?.matches('textarea'), 'the caret in the chat');
	await ann.tab.keyboard.type('mmm?');
	assert.equal(await audio(), false);
	assert.equal(await ann.tab.inputValue('textarea'), 'mmm?');
	await ann.press('Enter');
	await ann.shows('mmm?', '.message');
	await ann.press('Escape');
	await ann.until(() => !document.querySelector('.panel'), 'the chat being closed');
	await ann.press('?');
	await ann.shows('microphone on or off', 'dialog');
	await ann.tab.uncheck('dialog input');
	await ann.press('Escape');
	await ann.until(() => !document.querySelector('dialog'), 'the help being closed');
	await ann.press('m');
	assert.equal(await audio(), false, 'the key was turned off');
	await ann.tab.click('button[aria-label^="Keys"]');
	await ann.tab.check('dialog input');
	await ann.press('Escape');
	await ann.until(() => !document.querySelector('dialog'), 'the help being closed again');
	await ann.press('m');
	assert.equal(await audio(), true);
	await ann.press('i');
	await ann.shows('The link is copied');
	assert.equal(await ann.tab.evaluate(() => navigator.clipboard.readText()), `${new URL(ann.tab.url()).origin}/${room}`);
}

// wrong lists what is wrong with what is on the screen: too wide, too small to touch, without a name.
const wrong = () => {
	const found = [];
	const { scrollWidth } = document.scrollingElement;
	if (scrollWidth > innerWidth) found.push(`${scrollWidth} pixels wide on a screen of ${innerWidth}`);
	for (const e of document.querySelectorAll('button, a, input, select, textarea, summary')) {
		const r = e.getBoundingClientRect();
		if (r.width === 0 || !e.checkVisibility({ visibilityProperty: true })) continue;
		const label = e.getAttribute('aria-label') || e.innerText?.trim() || e.labels?.[0]?.innerText || e.title;
		const size = e.type === 'checkbox' ? e.closest('label').getBoundingClientRect() : r;
		if (!label) found.push(`${e.outerHTML.slice(0, 80)} has no name`);
		if (!e.closest('.text') && (size.width < 43.5 || size.height < 43.5)) found.push(`${label} is ${size.width} × ${size.height}`);
		if (r.left < -0.5 || r.right > innerWidth + 0.5) found.push(`${label} is cut off at ${r.left}…${r.right}`);
	}
	return found;
};

/** phone: 360 pixels wide, light and dark: nothing is cut off, everything can be touched and has a name. */
export async function phone(browser) {
	const room = newRoom();
	const ann = await browser.person('Ann', { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, colorScheme: 'dark', reducedMotion: 'reduce' });
	const bob = await browser.person('Bob Builder with a very long name that does not end so soon');
	const good = async (p, what) => assert.deepEqual(await p.tab.evaluate(wrong), [], what);
	await ann.open('/');
	await ann.lookGood();
	await good(ann, 'lobby');
	await ann.tab.click('summary');
	await good(ann, 'devices');
	await ann.enter(room);
	await ann.inside();
	await good(ann, 'alone');
	await bob.enter(room);
	await Promise.all([ann.connected(), bob.connected()]);
	await good(ann, 'call');
	await good(bob, 'call on a desk');
	await ann.tab.click('button[aria-label="Chat"]');
	await bob.tab.evaluate(() => globalThis.parley.say('averylongwordthatdoesnotbreakanywhere'.repeat(10)));
	await ann.shows('averylongword', '.message');
	await good(ann, 'chat');
	await ann.tab.click('[role=tab]:last-child');
	await good(ann, 'people');
	await ann.tab.click('.panel button[aria-label="Close"]');
	await ann.tab.click('button[aria-label="Settings"]');
	await good(ann, 'settings');
	const ground = () => ann.tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
	const dark = await ground();
	await ann.tab.click('dialog .plain');
	const lighter = (old) => getComputedStyle(document.body).backgroundColor !== old;
	await ann.until(lighter, 'the chosen theme', dark);
	await ann.tab.click('dialog button[aria-label="Close"]');
	await ann.tab.click('button[aria-label="Leave the call"]');
	await good(ann, 'good-bye');
	await ann.tab.reload();
	await ann.until(lighter, 'the chosen theme after a reload', dark);
	assert.equal(await ann.tab.evaluate(() => document.documentElement.dataset.theme), 'light');
}

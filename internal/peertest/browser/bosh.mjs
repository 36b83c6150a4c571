// XMPP over BOSH with strophe.js in the browser, against /http-bind (XEP-0124, XEP-0206).
import assert from 'node:assert/strict';
import { newRoom } from './drive.mjs';

// A window at a path that shows nothing, in which strophe.js connects over BOSH: as a guest, or with a name and a password.
async function strophe(browser, name, address, password) {
	const p = await browser.person(name);
	await p.open('/page.json');
	await p.tab.evaluate(async ([address, password]) => {
		await import('/static/js/vendor.js');
		const { Strophe } = globalThis;
		globalThis.statuses = [];
		globalThis.stanzas = [];
		const c = globalThis.connection = new Strophe.Connection(`${location.origin}/http-bind`);
		c.addHandler((s) => { globalThis.stanzas.push(s.outerHTML); return true; });
		globalThis.Status = Strophe.Status;
		c.connect(address, password, (status) => globalThis.statuses.push(status), 5);
	}, [address, password]).catch((e) => { throw new Error(`${name}: ${e.message}`); });
	await p.until(() => globalThis.statuses.includes(globalThis.Status.CONNECTED), 'strophe.js being connected over BOSH');
	return p;
}

/** guests log in, meet in a room, talk, wait longer than a request is held, and say goodbye. */
export async function guests(browser) {
	const room = `${newRoom()}@muc.localhost`;
	const people = [await strophe(browser, 'romeo', 'localhost', ''), await strophe(browser, 'juliet', 'localhost', '')];
	for (const p of people) {
		await p.tab.evaluate(([room, nick]) => {
			globalThis.connection.send($pres({ to: `${room}/${nick}` }).c('x', { xmlns: 'http://jabber.org/protocol/muc' }).tree());
		}, [room, p.name]);
		await p.until(() => globalThis.stanzas.some((s) => s.includes('110')), 'being in the room');
		if (p.name === 'romeo') { // whose room it is: he opens it (XEP-0045 §10.1.2)
			await p.tab.evaluate((room) => new Promise((done, failed) => {
				const { $iq } = globalThis;
				globalThis.connection.sendIQ($iq({ to: room, type: 'set' }).c('query', { xmlns: 'http://jabber.org/protocol/muc#owner' }).c('x', { xmlns: 'jabber:x:data', type: 'submit' }).tree(), done, failed);
			}).then(() => null), room);
		}
	}
	const [romeo, juliet] = people;
	await romeo.tab.waitForTimeout(7000); // requests are held for five seconds
	const n = 50;
	await romeo.tab.evaluate(([room, n]) => {
		for (let i = 0; i < n; i++) globalThis.connection.send($msg({ to: room, type: 'groupchat' }).c('body').t(`word ${i} <&>`).tree());
	}, [room, n]);
	for (const p of people) await p.until((n) => globalThis.stanzas.filter((s) => s.includes('<body>word')).length === n, 'all words', n);
	const heard = await juliet.tab.evaluate(() => globalThis.stanzas.filter((s) => s.includes('<body>word')).map((s) => /<body>(.*)<\/body>/.exec(s)[1]));
	assert.deepEqual(heard, Array.from({ length: n }, (_, i) => `word ${i} &lt;&amp;&gt;`));
	await romeo.tab.evaluate(() => globalThis.connection.disconnect('done'));
	await romeo.until(() => globalThis.statuses.at(-1) === globalThis.Status.DISCONNECTED, 'the end');
	await juliet.until(() => globalThis.stanzas.some((s) => s.includes('unavailable') && s.includes('/romeo')), 'romeo gone');
	assert.equal(juliet.sockets + romeo.sockets, 0);
	return { words: heard.length };
}

/** account logs in with a password, which only a server under TLS or this machine is told in a form that can be read. */
export async function account(browser) {
	const p = await strophe(browser, 'ann', 'ann@localhost/strophe', 'secret');
	const jid = await p.tab.evaluate(() => globalThis.connection.jid);
	assert.equal(jid, 'ann@localhost/strophe');
	return { jid };
}

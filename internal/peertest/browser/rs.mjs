// The page of the RoomServer door.
import assert from 'node:assert/strict';
import { ask } from './drive.mjs';
import { goOn, member, perceives } from './mixed.mjs';

// A room number that no other scenario has.
let rooms = 0;
const number = () => String(process.pid * 100 + ++rooms);

/** open opens the page, where nobody is in a room yet. */
async function open(browser, name, query, options) {
	const person = await browser.person(name, options);
	await person.open(`/rs/?${query}`);
	await person.lookGood();
	return person;
}

/** enter is somebody who has entered a room by the page. */
async function enter(browser, name, query, options) {
	const person = await open(browser, name, query, options);
	await person.tab.fill('#name', name);
	await person.tab.click('#enter');
	await person.inside();
	return person;
}

/** sees waits until picture and sound of somebody go on, over the connection that is this one's, and are shown. */
async function sees(person, uid) {
	const now = await goOn(`${person.name} sees and hears ${uid}`, () => person.tab.evaluate(async (id) => {
		const link = globalThis.parley.members.get(id)?.link;
		const known = globalThis.known ??= new Map();
		if (link && !known.has(link.pc)) known.set(link.pc, known.size + 1);
		const stats = link ? [...(await link.pc.getStats()).values()].filter((s) => s.type === 'inbound-rtp') : [];
		const sum = (kind, key) => stats.filter((s) => s.kind === kind).reduce((n, s) => n + (s[key] ?? 0), 0);
		return { pc: known.get(link?.pc) ?? 0, state: link?.state, frames: sum('video', 'framesDecoded'), energy: sum('audio', 'totalAudioEnergy') };
	}, uid));
	await person.until((id) => document.querySelector(`[data-uid="${CSS.escape(id)}"] video:not(.unseen)`), `the picture of ${uid}`, uid);
	return now;
}

/** has waits until these, and nobody else, have tiles. */
const has = (person, ...uids) => person.until((list) => [...document.querySelectorAll('[data-uid]')].map((e) => e.dataset.uid).sort().join() === list, `tiles of ${uids}`, [...uids].sort().join());

const me = (person) => person.tab.evaluate(() => globalThis.parley.view.me);

/** directly waits until the server says that media go from browser to browser. */
const directly = (person) => person.until(() => globalThis.parley.view.gate === 0, 'the gate of two');

/** uplinks waits until somebody sends in one of the connections alone. */
const uplinks = (person) => person.until(() => [...globalThis.parley.members.values()]
	.filter(({ link }) => link?.pc.getTransceivers().some((t) => t.sender.track && /send/.test(t.currentDirection ?? ''))).length === 1, 'one uplink');

// pictures takes them into a folder, if there is one.
const pictures = (dir) => async (person, name) => { if (dir) await person.tab.screenshot({ path: `${dir}/${name}.png` }); };

const phone = { viewport: { width: 390, height: 844 }, colorScheme: 'dark' };

/**
 * two: two of these pages talk, directly; one's camera and microphone are turned off and on; the network drops, and a connection is
 * mended; one leaves. dir is for pictures.
 */
export async function two(browser, dir) {
	const room = number();
	const picture = pictures(dir);
	const ann = await browser.person('Ann');
	await ann.open(`/rs?roomId=${room}`); // without the slash
	assert.equal(new URL(ann.tab.url()).pathname, '/rs/');
	assert.equal(await ann.tab.inputValue('#room'), room);
	await ann.lookGood();
	await picture(ann, 'rs-entry');
	await ann.tab.fill('#name', 'Ann');
	await ann.tab.press('#name', 'Enter');
	await ann.inside();
	await ann.shows('You are the first one here');
	await picture(ann, 'rs-alone');
	const bob = await enter(browser, 'Bob', `roomId=${room}&uid=bob`, phone);
	const anns = await me(ann);
	assert.equal(await me(bob), 'bob');
	await Promise.all([sees(ann, 'bob'), sees(bob, anns)]);
	await ann.shows('Bob', '[data-uid="bob"] .tag');
	await ann.shows('Directly', '#state');
	await picture(bob, 'rs-two-dark-phone');

	await ann.press('v');
	await bob.shows('Camera is off', '[data-uid]');
	await ann.press('m');
	await bob.shows('muted', '[data-uid] .tag');
	await picture(bob, 'rs-muted-dark-phone');
	await ann.press('v');
	await ann.press('m');
	await bob.until(() => !document.querySelector('[data-uid] .tag').innerText.includes('muted'), 'the microphone being on');
	await sees(bob, anns);

	await ask('drop');
	await Promise.all([ann, bob].map((p) => p.until(() => globalThis.parley.session && globalThis.parley.view.server.text === '', 'being in the room again')));
	await Promise.all([sees(ann, 'bob'), sees(bob, anns)]);
	const [initiator, uid] = await ann.tab.evaluate(() => globalThis.parley.members.get('bob').link.initiator) ? [ann, 'bob'] : [bob, anns];
	await initiator.tab.evaluate((id) => { // as if the path had failed
		const { link } = globalThis.parley.members.get(id);
		link.state = 'failed';
		link.mend();
	}, uid);
	const other = initiator === ann ? bob : ann;
	await other.until(() => [...globalThis.known.keys()].every((pc) => pc !== [...globalThis.parley.members.values()][0]?.link?.pc), 'another connection');
	await Promise.all([sees(ann, 'bob'), sees(bob, anns)]);

	await bob.tab.click('button[aria-label="Leave the call"]');
	await bob.shows('Good-bye');
	await picture(bob, 'rs-out-dark-phone');
	await has(ann);
	await ann.shows('You are the first one here');
	return {};
}

/**
 * three: two of these pages talk, a page of ours comes, and all see and hear one another by the bridge; it goes, and the two talk
 * directly again.
 */
export async function three(browser, dir) {
	const room = number();
	const picture = pictures(dir);
	const ann = await enter(browser, 'Ann', `roomId=${room}`);
	const bob = await enter(browser, 'Bob', `roomId=${room}&uid=bob`, phone);
	const anns = await me(ann);
	await Promise.all([sees(ann, 'bob'), sees(bob, anns)]);
	const cay = await browser.person('Cay');
	await cay.enter(room);
	await cay.inside();
	const cays = (await cay.view()).me;
	const [a, b] = [await member(cay, 'Ann'), await member(cay, 'Bob')];
	await Promise.all([perceives(cay, a), perceives(cay, b), sees(ann, 'bob'), sees(ann, cays), sees(bob, anns), sees(bob, cays)]);
	await ann.shows('Cay', '.tag');
	await ann.shows('By way of the bridge', '#state');
	await Promise.all([uplinks(ann), uplinks(bob)]);
	await picture(ann, 'rs-three');
	await picture(bob, 'rs-three-dark-phone');

	await cay.tab.click('button[aria-label="Leave the call"]');
	await Promise.all([has(ann, 'bob'), has(bob, anns)]);
	await Promise.all([directly(ann), directly(bob)]);
	await Promise.all([sees(ann, 'bob'), sees(bob, anns)]);
	return {};
}

const problem = (person, words) => person.shows(words, '#problem');

/** brief is a token of the account "brief" that is good in a room for so many seconds. */
async function brief(person, room, seconds) {
	const ask = async (path, body, headers) => {
		const r = await person.context.request.post(new URL(`/api/v1${path}`, person.tab.url()).href, { data: body, headers });
		assert.ok(r.ok(), `${path}: ${r.status()}`);
		return r.json();
	};
	const { access_token } = await ask('/auth/login', { user: 'brief', password: 'secret', label: 'test' });
	return (await ask('/tokens/room', { room, expires_in: seconds }, { Authorization: `Bearer ${access_token}` })).token;
}

/** refused: a server that wants tokens, and has room for one. good is a token for everything, wrong one for another room. */
export async function refused(browser, good, wrong, dir) {
	const room = number();
	const ann = await open(browser, 'Ann', `roomId=${room}`);
	const enters = async (token) => {
		if (token) await ann.tab.fill('#token', token);
		await ann.tab.click('#enter');
	};
	await enters('');
	await problem(ann, 'without a token');
	if (dir) await ann.tab.screenshot({ path: `${dir}/rs-refused.png` });
	await enters('nonsense');
	await problem(ann, 'does not accept this token');
	await enters(wrong);
	await problem(ann, 'not allowed in this room');
	await enters(await brief(ann, room, 15));
	await ann.inside();
	assert.equal(await me(ann), 'brief');
	await ann.shows('ends soon', '#renew');
	if (dir) await ann.tab.screenshot({ path: `${dir}/rs-renew.png` });
	await problem(ann, 'has run out');
	await ann.tab.click('#again');
	await ann.lookGood();
	await enters(good);
	await ann.inside();

	const bob = await open(browser, 'Bob', `roomId=${room}&token=${good}`);
	assert.equal(new URL(bob.tab.url()).searchParams.get('token'), null, 'the token has left the address');
	await bob.tab.click('#enter');
	await problem(bob, 'The room is full: no more than 1');
	const cay = await open(browser, 'Cay', `roomId=${room}&appId=other`);
	await cay.tab.click('#enter');
	await problem(cay, 'does not know the application “other”');
	return {};
}

/** renewed: a token ends soon, and another one comes in time. */
export async function renewed(browser, soon, good) {
	const ann = await open(browser, 'Ann', `roomId=${number()}&token=${soon}`);
	await ann.tab.click('#enter');
	await ann.inside();
	await ann.shows('ends soon', '#renew');
	await ann.tab.fill('#token', 'nonsense');
	await ann.tab.press('#token', 'Enter');
	await ann.shows('does not accept this token', '#renew');
	await ann.tab.fill('#token', good);
	await ann.tab.press('#token', 'Enter');
	await ann.until(() => !globalThis.parley.view.renew && globalThis.parley.view.phase === 'in' && !document.querySelector('#renew'), 'staying');
	return {};
}

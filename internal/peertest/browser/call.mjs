// What two people do in a call.
import assert from 'node:assert/strict';
import { ask, newRoom, pair } from './drive.mjs';
import { magentaScreen, tileShows } from './room.mjs';

const frames = 100;

/** direct: picture and sound both ways, over stanzas of a Jingle session. */
export async function direct(browser) {
	const [ann, bob] = await pair(browser, newRoom());
	const seen = await Promise.all([ann.sees(frames), bob.sees(frames)]);
	await Promise.all([ann.hears(), bob.hears()]);
	const log = [...ann.sent, ...ann.received];
	for (const action of ['session-initiate', 'session-accept', 'transport-info']) {
		assert.ok(log.some((s) => s.includes(`action="${action}"`) || s.includes(`action='${action}'`)), `no ${action} in the log of stanzas`);
	}
	// The lexically smaller endpoint id initiates.
	const [a, b] = await Promise.all([ann.view(), bob.view()]);
	const initiated = (p) => p.sent.some((s) => s.includes('action="session-initiate"'));
	assert.equal(initiated(ann), a.me < b.me);
	assert.equal(initiated(bob), b.me < a.me);
	await ann.shows('Connected directly', '#state');
	return { frames: seen.map((s) => s.frames), path: seen.map((s) => s.path) };
}

/** relay: the same where only the TURN server may be used. */
export async function relay(browser, transport) {
	const [ann, bob] = await pair(browser, newRoom(), `#config.iceTransportPolicy=relay&config.turnTransport=${transport}`);
	const seen = await Promise.all([ann.sees(frames), bob.sees(frames)]);
	await Promise.all([ann.hears(), bob.hears()]);
	for (const { path } of seen) {
		assert.equal(path.local, 'relay');
		assert.equal(path.remote, 'relay');
		assert.equal(path.protocol, transport);
	}
	await ann.shows(`Connected through the relay (${transport.toUpperCase()})`, '#state');
	return { frames: seen.map((s) => s.frames), path: seen.map((s) => s.path) };
}

/** switches: muting, camera off and the screen are seen by the other one, by buttons and by keys. */
export async function switches(browser) {
	const [ann, bob] = await pair(browser, newRoom());
	await bob.sees(30);
	const annSeen = (what) => bob.until(([key, value]) => globalThis.parley.view.members[0]?.[key] === value, `Ann's ${what[0]} being ${what[1]}`, what);

	await annSeen(['audio', true]);
	await ann.tab.click('button[aria-label="Turn microphone off"]');
	await annSeen(['audio', false]);
	await bob.shows('muted', '.remote .tag');
	await quiet(bob);
	await ann.press('m');
	await annSeen(['audio', true]);
	await bob.hears();

	await ann.press('v');
	await annSeen(['video', false]);
	await bob.shows('Camera is off', '.remote');
	assert.equal(await ann.tab.evaluate(() => globalThis.parley.media.track.video), null, 'the camera is released');
	await ann.press('v');
	await annSeen(['video', true]);
	await bob.sees(30);

	// The screen is a tile of its own beside the camera, and large.
	const id = (await ann.view()).me;
	await ann.tab.evaluate(magentaScreen);
	const camera = await tileShows(bob, `${id}-v0`, false);
	await ann.press('s');
	await annSeen(['screen', true]);
	await bob.shows('shares the screen', '.remote .tag');
	const screen = await tileShows(bob, `${id}-v1`, true);
	await tileShows(bob, `${id}-v0`, false);
	assert.ok(ann.sent.some((s) => s.includes('action="source-add"')), 'no source-add');
	await ann.press('s');
	await annSeen(['screen', false]);
	await bob.until((name) => !document.querySelector(`[data-source="${name}"]`), 'the end of the screen', `${id}-v1`);
	await ann.press('s'); // a second time, and the other one, too
	await tileShows(bob, `${id}-v1`, true);
	await bob.tab.evaluate(magentaScreen);
	await bob.press('s');
	await tileShows(ann, `${(await bob.view()).me}-v1`, true);
	await tileShows(bob, `${id}-v0`, false);
	await Promise.all([ann.sees(30), bob.sees(30)]);
	return { camera, screen };
}

// quiet waits until nothing is heard for longer than the pause between two beeps of the false microphone.
async function quiet(person) {
	let heard = NaN;
	for (let i = 0; i < 8; i++) {
		const { energy } = await person.stats();
		if (energy - heard < 1e-6) return;
		heard = energy;
		await person.tab.waitForTimeout(1500);
	}
	throw new Error(`${person.name} still hears who is muted`);
}

/** leaving: who stays sees it, and the call begins again when somebody comes. */
export async function leaving(browser) {
	const room = newRoom();
	const [ann, bob] = await pair(browser, room);
	await bob.tab.click('button[aria-label="Leave the call"]');
	await bob.shows('Good-bye, Bob');
	await ann.shows('Bob has left');
	await ann.shows('You are the first one here');
	await bob.tab.click('#again');
	await bob.lookGood();
	await bob.tab.click('#enter');
	await Promise.all([ann.connected(), bob.connected()]);
	await Promise.all([ann.sees(30), bob.sees(30)]);
	await bob.context.close(); // the window is closed without a word
	await ann.shows('You are the first one here');
}

/** third: without a bridge a third member is told in words that the call is full, chats, and gets the call when one goes. */
export async function third(browser) {
	const room = newRoom();
	const [ann, bob] = await pair(browser, room);
	const cid = await browser.person('Cid');
	await cid.enter(room);
	await cid.inside();
	await cid.shows('ooms of three and more are not available on this server');
	await Promise.all([ann.sees(30), bob.sees(30)]); // the two go on
	await cid.press('c');
	await cid.tab.fill('textarea', 'may I come in?');
	await cid.press('Enter');
	await ann.until(() => globalThis.parley.view.messages.some((m) => m.text === 'may I come in?' && m.name === 'Cid'), "Cid's message");
	await bob.tab.click('button[aria-label="Leave the call"]');
	await Promise.all([ann.connected(), cid.connected()]);
	await Promise.all([ann.sees(30), cid.sees(30)]);
}

/** dropped: the network drops every connection to the server; the call goes on, the session is resumed, nothing that was said is lost. */
export async function dropped(browser) {
	const [ann, bob] = await pair(browser, newRoom());
	const before = await bob.view();
	await ann.sees(30);
	const sockets = ann.sockets;
	await ann.tab.evaluate(() => { globalThis.resumed = undefined; globalThis.parley.stream.addEventListener('state', (e) => { if (e.state === 'online') globalThis.resumed = e.resumed; }); });
	await ask('drop');
	await ann.shows('The connection to the server was lost. The call goes on.', '#state');
	await bob.until(() => globalThis.parley.stream.state === 'online', 'Bob being back');
	await bob.tab.evaluate(() => globalThis.parley.say('are you there?'));
	await ann.sees(30); // media go on without the server
	await ann.until(() => globalThis.resumed === true, 'the session being resumed');
	assert.equal(ann.sockets, sockets + 1);
	await ann.until(() => globalThis.parley.view.messages.filter((m) => m.text === 'are you there?').length === 1, 'the message that came meanwhile, once');
	await ann.tab.evaluate(() => globalThis.parley.say('here again'));
	await bob.until(() => globalThis.parley.view.messages.some((m) => m.text === 'here again'), "Ann's answer");
	await Promise.all([ann.sees(30), bob.sees(30)]);
	assert.deepEqual((await bob.view()).members.map((m) => m.id), before.members.map((m) => m.id));
}

/** restarted: the server is killed and comes back; both find each other again by themselves. */
export async function restarted(browser) {
	const [ann, bob] = await pair(browser, newRoom());
	await ann.sees(30);
	await ask('kill');
	await Promise.all([ann, bob].map((p) => p.shows('Trying again', '#state')));
	await Promise.all([ann.sees(30), bob.sees(30)]); // the call goes on
	await ask('start');
	await Promise.all([ann, bob].map((p) => p.until(() => globalThis.parley.stream.state === 'online' && globalThis.parley.room?.joined && globalThis.parley.room.members.size === 1, 'both in the room again')));
	await Promise.all([ann.connected(), bob.connected()]);
	await Promise.all([ann.sees(30), bob.sees(30)]);
}

/** mended: the initiator restarts ICE; the candidates are others, the media go on. */
export async function mended(browser) {
	const [ann, bob] = await pair(browser, newRoom());
	await Promise.all([ann.sees(30), bob.sees(30)]);
	const [first, other] = (await ann.view()).me < (await bob.view()).me ? [ann, bob] : [bob, ann];
	const ufrag = (p) => p.tab.evaluate(() => [globalThis.parley.call.pc.localDescription, globalThis.parley.call.pc.remoteDescription].map((d) => /a=ice-ufrag:(\S+)/.exec(d.sdp)[1]));
	const before = await ufrag(other);
	await first.tab.evaluate(() => globalThis.parley.call.pc.restartIce());
	await other.until((old) => globalThis.parley.call.pc.signalingState === 'stable' && [globalThis.parley.call.pc.localDescription, globalThis.parley.call.pc.remoteDescription].every((d, i) => /a=ice-ufrag:(\S+)/.exec(d.sdp)[1] !== old[i]), 'other credentials', before);
	await Promise.all([ann.connected(), bob.connected()]);
	await Promise.all([ann.sees(50), bob.sees(50)]);
	assert.ok(first.sent.some((s) => s.includes('action="transport-replace"')), 'no transport-replace');
	assert.ok(other.sent.some((s) => s.includes('action="transport-accept"')), 'no transport-accept');
}

// People who come by different doors meet in one room: our page, the page of an AppRTC room, a client of the RoomServer protocol.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { newRoom, voice } from './drive.mjs';

const patience = 90_000; // many tests share few cores

// Pictures are small, ten times a second.
const query = 'video=maxWidth=320,maxHeight=180,maxFrameRate=10';

// A page keeps its connections to itself: they are noted as they are made. Called before the page's scripts.
const noteConnections = () => {
	const made = globalThis.made = [];
	globalThis.RTCPeerConnection = class extends RTCPeerConnection {
		constructor(...args) {
			super(...args);
			made.push(this);
		}
	};
};

/** speaking is somebody who speaks all the time, unless its track is off. */
async function speaking(browser, name) {
	const person = await browser.person(name);
	await person.tab.addInitScript(voice, true);
	return person;
}

/** AppRTC is somebody at the page of an AppRTC room, which shows one stream. */
class AppRTC {
	static async enter(browser, room, name) {
		const person = await speaking(browser, name);
		await person.tab.addInitScript(noteConnections);
		await person.open(`/r/${room}?name=${name}&${query}`);
		return Object.assign(new AppRTC(), { person, name });
	}

	/** come is what has come over the connection that there is: frames of video that were decoded, and energy of sound. */
	come() {
		return this.person.tab.evaluate(async () => {
			const pc = globalThis.made.at(-1);
			if (!pc) return { pc: 0, frames: 0, energy: 0 };
			const inbound = [...(await pc.getStats()).values()].filter((s) => s.type === 'inbound-rtp');
			const sum = (kind, key) => inbound.filter((s) => s.kind === kind).reduce((n, s) => n + (s[key] ?? 0), 0);
			const { frameWidth: width, frameHeight: height } = inbound.find((s) => s.kind === 'video') ?? {};
			return {
				pc: globalThis.made.length, frames: sum('video', 'framesDecoded'), energy: sum('audio', 'totalAudioEnergy'), width, height,
				streams: inbound.map((s) => s.kind).sort().join(), status: document.getElementById('status')?.textContent,
			};
		});
	}

	/** shows waits until its picture is one of such a shape. */
	async shows(shape, what) {
		for (const deadline = Date.now() + patience; ;) {
			const { width, height } = await this.come();
			if (width && shape(width / height)) return;
			if (Date.now() > deadline) throw new Error(`${this.name} does not see ${what}, but ${width}×${height}`);
			await new Promise((resolve) => { setTimeout(resolve, 200); });
		}
	}

	/** perceives waits until picture and sound go on. */
	perceives() {
		return goOn(`${this.name} sees and hears`, () => this.come());
	}
}

const sdk = fs.readFileSync(new URL('roomserver.js', import.meta.url), 'utf8');

/** Member is somebody with a client of the RoomServer protocol, which has a connection for each of the others. Its camera is narrow. */
class Member {
	static async enter(browser, room, uid) {
		const person = await speaking(browser, uid);
		await person.open('/page.json');
		await person.tab.evaluate(sdk);
		await person.tab.evaluate(async ([id, name]) => {
			const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
			navigator.mediaDevices.getUserMedia = () => real({ audio: true, video: { width: { exact: 240 }, height: { exact: 180 }, frameRate: 10 } });
			const gates = globalThis.gates = [];
			const client = globalThis.client = new globalThis.RoomServerClient(`${location.origin.replace('http', 'ws')}/rs/ws`, id, name);
			const take = client.take.bind(client);
			client.take = (m) => {
				if (m.cmd === 'notifyGate') gates.push(m.gate);
				return take(m);
			};
			const connect = client.connect.bind(client);
			client.connect = (...args) => {
				const link = connect(...args);
				link.pc.addEventListener('track', ({ streams: [heard] }) => Object.assign(new Audio(), { srcObject: heard }).play()); // what is not played has no energy
				return link;
			};
			await client.join();
		}, [uid, room]);
		return Object.assign(new Member(), { person, name: uid });
	}

	/** perceives waits until picture and sound of somebody go on, over the connection that is this one's. */
	perceives(uid) {
		return goOn(`${this.name} sees and hears ${uid}`, () => this.person.tab.evaluate(async (id) => {
			const { client } = globalThis;
			const { pc, ...seen } = await client.seen(id);
			const made = globalThis.known ??= new Map();
			if (pc && !made.has(pc)) made.set(pc, made.size + 1);
			return { ...seen, pc: made.get(pc) ?? 0, faults: client.faults, gates: globalThis.gates, links: [...client.links.keys()] };
		}, uid));
	}

	/** has waits until its connections are with these. */
	has(...uids) {
		return this.person.until((list) => [...globalThis.client.links.keys()].sort().join() === list, `connections with ${uids}`, [...uids].sort().join());
	}

	/** gate waits until the gates that it was told of are these. */
	gate(...gates) {
		return this.person.until((list) => globalThis.gates.join() === list, `gates ${gates}`, gates.join());
	}

	speaks(on) {
		return this.person.tab.evaluate((enabled) => { for (const t of globalThis.client.stream.getAudioTracks()) t.enabled = enabled; }, on);
	}
}

/** goOn waits until a count of frames and an energy of sound have grown, over one connection. */
export async function goOn(what, come, frames = 10) {
	let first = await come();
	for (const deadline = Date.now() + patience; ;) {
		const now = await come();
		if (now.pc !== first.pc) first = now; // another connection counts from its own beginning
		if (now.frames >= first.frames + frames && now.energy > first.energy + 1e-4) return now;
		if (Date.now() > deadline) throw new Error(`${what}: not; ${JSON.stringify(first)} and then ${JSON.stringify(now)}`);
		await new Promise((resolve) => { setTimeout(resolve, 200); });
	}
}

/** ofMember is what has come of one member at our page, by way of the bridge. */
const ofMember = (person, id) => person.tab.evaluate(async (member) => {
	const { bridge } = globalThis.parley;
	const out = { pc: 0, frames: 0, energy: 0, state: bridge?.state, carrying: bridge?.carrying, call: globalThis.parley.call?.state };
	for (const [source, { owner }] of bridge?.playing ?? []) {
		if (owner !== member) continue;
		const s = [...(await bridge.receiver(source)?.getStats() ?? new Map()).values()].find((x) => x.type === 'inbound-rtp');
		out.frames += s?.framesDecoded ?? 0;
		out.energy += s?.totalAudioEnergy ?? 0;
		out.pc += s?.ssrc ?? 0; // a slot that plays somebody else counts anew
	}
	return out;
}, id);

/** perceives waits until picture and sound of a member go on at our page. */
export const perceives = (person, id) => goOn(`${person.name} sees and hears ${id}`, () => ofMember(person, id));

/** member waits until somebody of that name is shown at our page, and returns the endpoint id. */
export async function member(person, name) {
	await person.until((n) => globalThis.parley.view.members.some((m) => m.name === n), `${name} being there`, name);
	return person.tab.evaluate((n) => globalThis.parley.view.members.find((m) => m.name === n).id, name);
}

/**
 * two: our page and the page of an AppRTC room, alone. Name is that of the latter, whose endpoint id it is, too: of two pages the one
 * with the lower id would call the other, and neither calls here.
 */
export async function two(browser, name, first) {
	const room = newRoom();
	const ann = await speaking(browser, 'Ann');
	let bob;
	if (first === 'apprtc') {
		bob = await AppRTC.enter(browser, room, name);
		await bob.person.shows('Waiting for somebody');
	}
	await ann.enter(room);
	await ann.inside();
	bob ??= await AppRTC.enter(browser, room, name);
	const id = await member(ann, name);
	await Promise.all([perceives(ann, id), bob.perceives()]);
	return { id };
}

/**
 * three: our page, a client of the RoomServer protocol and the page of an AppRTC room at once. Our page shows everybody, the client has
 * a connection for each, the AppRTC page has one stream, of who speaks. Then they go, one by one.
 */
export async function three(browser) {
	const room = newRoom();
	const rae = await Member.enter(browser, room, 'rae');
	const ann = await speaking(browser, 'Ann');
	await ann.enter(room);
	await ann.inside();
	const { me } = await ann.view();
	await rae.gate(1); // there is somebody with whom it cannot talk alone
	const raes = await member(ann, 'rae');
	await Promise.all([perceives(ann, raes), rae.perceives(me)]);

	const bob = await AppRTC.enter(browser, room, 'Bob');
	const bobs = await member(ann, 'Bob');
	await rae.has(me, bobs);
	await Promise.all([perceives(ann, raes), perceives(ann, bobs), rae.perceives(me), rae.perceives(bobs), bob.perceives()]);
	assert.equal((await bob.come()).streams, 'audio,video', 'one stream of each medium');

	// Who speaks is who is seen there; of several who do it is whoever began.
	await bob.person.tab.click('#mute-audio');
	await ann.press('m');
	await bob.shows((ratio) => ratio < 1.5, 'rae, who speaks');
	await rae.speaks(false);
	await ann.press('m');
	await bob.shows((ratio) => ratio > 1.6, 'Ann, who speaks');
	await rae.speaks(true);
	await bob.perceives();

	await bob.person.tab.click('#hangup');
	await ann.until((id) => globalThis.parley.view.members.every((m) => m.id !== id), 'Bob having left', bobs);
	await rae.has(me);
	await Promise.all([perceives(ann, raes), rae.perceives(me)]);

	await ann.tab.click('button[aria-label="Leave the call"]');
	await rae.has();
	await rae.gate(1, 0); // it is alone
	assert.deepEqual(await rae.person.tab.evaluate(() => globalThis.client.faults), []);
	return {};
}

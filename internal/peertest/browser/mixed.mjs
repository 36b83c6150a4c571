// People who come by different doors meet in one room: our page and the page of an AppRTC room.
import { newRoom } from './drive.mjs';

// pictures: small, ten times a second; many tests share few cores.
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

/** AppRTC is somebody at the page of an AppRTC room, which shows one stream. */
class AppRTC {
	static async enter(browser, room, name) {
		const person = await browser.person(name);
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

	/** perceives waits until picture and sound go on. */
	perceives() {
		return goOn(`${this.name} sees and hears`, () => this.come());
	}
}

/** goOn waits until a count of frames and an energy of sound have grown, over one connection. */
async function goOn(what, come, frames = 10) {
	let first = await come();
	for (const deadline = Date.now() + 60_000; ;) {
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
const perceives = (person, id) => goOn(`${person.name} sees and hears ${id}`, () => ofMember(person, id));

/** member waits until somebody of that name is shown at our page, and returns the endpoint id. */
async function member(person, name) {
	await person.until((n) => globalThis.parley.view.members.some((m) => m.name === n), `${name} being there`, name);
	return person.tab.evaluate((n) => globalThis.parley.view.members.find((m) => m.name === n).id, name);
}

/**
 * two: our page and the page of an AppRTC room, alone. Name is that of the latter, whose endpoint id it is, too: of two pages the one
 * with the lower id would call the other, and neither calls here.
 */
export async function two(browser, name, first) {
	const room = newRoom();
	const ann = await browser.person('Ann');
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

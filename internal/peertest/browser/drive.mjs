// What the scenarios share: the browser, the people in it, and questions to the caller.

import assert from 'node:assert/strict';
import readline from 'node:readline';
import { chromium } from 'playwright-core';

const page = process.env.PARLEY_PAGE?.replace(/\/$/, '');
const patience = 40_000; // many tests share few cores

const answers = [];
export const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => answers.shift()?.(line));

/** ask lets the caller do what word says and resolves with its answer. */
export function ask(word) {
	return new Promise((resolve) => {
		answers.push(resolve);
		process.stdout.write(`?${word}\n`);
	});
}

/** Browser is Chromium with a false camera that shows a clock, ten times a second, and a false microphone that beeps. */
export class Browser {
	static async start() {
		const b = new Browser();
		b.chromium = await chromium.launch({
			executablePath: process.env.PARLEY_CHROMIUM ?? '/usr/bin/chromium',
			args: ['--no-sandbox', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream=fps=10', '--auto-select-desktop-capture-source=Entire screen',
				'--autoplay-policy=no-user-gesture-required', '--allow-loopback-in-peer-connection', '--disable-features=WebRtcHideLocalIpsWithMdns',
				'--disable-background-timer-throttling', '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows'],
		});
		b.people = [];
		return b;
	}

	/** person opens a window of somebody's own; nothing is shared between two. */
	async person(name, options = {}) {
		const context = await this.chromium.newContext({ permissions: ['camera', 'microphone', 'clipboard-read', 'clipboard-write'], viewport: { width: 1280, height: 800 }, ...options });
		context.setDefaultTimeout(90_000);
		const person = new Person(name, context, await context.newPage());
		this.people.push(person);
		return person;
	}

	/** sound checks what must be true of every page in every scenario. */
	sound() {
		for (const p of this.people) {
			assert.deepEqual(p.foreign, [], `${p.name}'s page asked somebody else`);
			assert.deepEqual(p.violations, [], `${p.name}'s page broke its content security policy`);
			assert.deepEqual(p.errors, [], `${p.name}'s page had errors`);
		}
	}

	close() {
		return this.chromium.close();
	}
}

/** Person is one window. */
export class Person {
	constructor(name, context, tab) {
		this.name = name;
		this.context = context;
		this.tab = tab;
		this.foreign = []; // requests to other hosts
		this.violations = [];
		this.errors = [];
		this.sent = []; // frames of the WebSocket
		this.received = [];
		this.sockets = 0; // to the XMPP server
		this.own = new Set([new URL(page).host]);
		context.on('request', (r) => {
			const u = new URL(r.url());
			if (/^(https?|wss?):$/.test(u.protocol) && !this.own.has(u.host)) this.foreign.push(r.url());
		});
		tab.on('console', (m) => {
			if (/Content Security Policy/.test(m.text())) this.violations.push(m.text());
			if (process.env.PARLEY_TALK) console.error(name, m.type(), m.text());
		});
		tab.on('pageerror', (e) => this.errors.push(String(e.stack ?? e)));
		tab.on('websocket', (ws) => {
			if (ws.url().includes('/xmpp-websocket')) this.sockets++;
			ws.on('framesent', (f) => this.sent.push(String(f.payload)));
			ws.on('framereceived', (f) => this.received.push(String(f.payload)));
		});
	}

	/** open goes to a path of the page. */
	async open(path, hash = '') {
		await this.tab.goto(`${page}${path}#config.resolution=180${hash ? '&' + hash.slice(1) : ''}`); // small pictures: many tests share few cores
	}

	/** enter opens the lobby of a room and goes in. */
	async enter(room, hash = '') {
		await this.open(`/${room}`, hash);
		await this.tab.fill('#name', this.name);
		await this.lookGood();
		await this.tab.click('#enter');
	}

	// The camera of the preview is open, or known not to be.
	lookGood() {
		return this.until(() => globalThis.parley?.media.busy === false, 'camera and microphone are ready');
	}

	/** until waits for a condition inside the page, which may be a promise. */
	async until(condition, what, argument) {
		const deadline = Date.now() + patience;
		while (!(await this.tab.evaluate(condition, argument))) {
			if (Date.now() > deadline) {
				const seen = await this.tab.evaluate(() => JSON.stringify({ ...globalThis.parley?.view, state: globalThis.parley?.call?.state, bridge: globalThis.parley?.bridge?.state, playing: [...(globalThis.parley?.bridge?.playing ?? [])], seen: globalThis.seen })).catch(String);
				throw new Error(`${this.name}: not seen: ${what}; the page has ${seen}`);
			}
			await this.tab.waitForTimeout(100);
		}
	}

	inside() {
		return this.until(() => globalThis.parley.view.phase === 'in', 'being in the room');
	}

	connected() {
		return this.until(() => globalThis.parley.call?.state === 'connected' && globalThis.parley.call.path, 'the call being connected');
	}

	/** bridged waits until the media of everybody else come by way of the bridge. */
	bridged() {
		return this.until(() => {
			const { view, bridge } = globalThis.parley;
			return view.members.length > 1 && bridge?.state === 'connected' && bridge.carrying && view.members.every((m) => !m.video || bridge.playing.has(`${m.id}-v0`));
		}, 'the bridge carrying the media');
	}

	/** shows waits for words on the screen. */
	async shows(words, where = 'body') {
		await this.until(([selector, text]) => [...document.querySelectorAll(selector)].some((e) => e.innerText.includes(text)), `“${words}” in ${where}`, [where, words]);
	}

	/** stats are what arrives: frames of video that were decoded, energy of sound, and the path. */
	stats() {
		return this.tab.evaluate(async () => {
			const stats = [...(await globalThis.parley.call.pc.getStats()).values()];
			const inbound = (kind) => stats.filter((s) => s.type === 'inbound-rtp' && s.kind === kind);
			const sum = (list, key) => list.reduce((n, s) => n + (s[key] ?? 0), 0);
			const video = inbound('video').sort((a, b) => (b.framesDecoded ?? 0) - (a.framesDecoded ?? 0))[0];
			return {
				frames: sum(inbound('video'), 'framesDecoded'), energy: sum(inbound('audio'), 'totalAudioEnergy'), samples: sum(inbound('audio'), 'totalSamplesReceived'),
				width: video?.frameWidth, height: video?.frameHeight, path: globalThis.parley.call.path, restarts: globalThis.parley.call.restarts,
			};
		});
	}

	/** sees waits until so many more frames of the other's video were decoded. */
	async sees(more) {
		const { frames } = await this.stats();
		const deadline = Date.now() + patience;
		for (;;) {
			const now = await this.stats();
			if (now.frames >= frames + more) return now;
			if (Date.now() > deadline) throw new Error(`${this.name} has decoded ${now.frames - frames} frames, not ${more}`);
			await this.tab.waitForTimeout(200);
		}
	}

	/** hears waits until the other's beeps are heard. */
	async hears() {
		const { energy } = await this.stats();
		const deadline = Date.now() + patience;
		for (;;) {
			const now = await this.stats();
			if (now.energy > energy + 1e-4) return now;
			if (Date.now() > deadline) throw new Error(`${this.name} hears nothing: energy ${now.energy - energy}`);
			await this.tab.waitForTimeout(200);
		}
	}

	press(key) {
		return this.tab.keyboard.press(key);
	}

	view() {
		return this.tab.evaluate(() => globalThis.parley.view);
	}
}

/** pair puts two people into a room and waits until they are connected. */
export async function pair(browser, room, hash = '') {
	const ann = await browser.person('Ann');
	const bob = await browser.person('Bob');
	await ann.enter(room, hash);
	await ann.inside();
	await bob.enter(room, hash);
	await Promise.all([ann.connected(), bob.connected()]);
	return [ann, bob];
}

let rooms = 0;
/** newRoom is a name that no other scenario has. */
export const newRoom = () => `room-${process.pid}-${++rooms}`;

/**
 * voice is called in a page before all else: in place of the false microphone, whose beeps are too short for speech, there is one
 * that says a syllable twice a second where speaks is true, or globalThis.speak(true) was called since.
 */
export const voice = (speaks) => {
	const { mediaDevices } = navigator;
	const real = mediaDevices?.getUserMedia.bind(mediaDevices);
	const gain = (on) => (on ? 0.4 : 0);
	let loud;
	globalThis.speak = (on) => {
		speaks = on;
		if (loud) loud.gain.value = gain(on);
	};
	const speech = () => {
		const context = new AudioContext();
		const rate = context.sampleRate;
		const syllable = context.createBuffer(1, rate / 2, rate);
		// 400 ms of it, and 100 ms of silence, without which it would be taken for a noise in the end.
		syllable.getChannelData(0).set(Float32Array.from({ length: rate * 0.4 }, (_, i) => Math.sin(2 * Math.PI * 300 * i / rate)));
		const source = new AudioBufferSourceNode(context, { buffer: syllable, loop: true });
		source.start();
		return source.connect(new GainNode(context, { gain: gain(speaks) }));
	};
	if (mediaDevices) mediaDevices.getUserMedia = async (constraints) => {
		const stream = constraints.video ? await real({ video: constraints.video }) : new MediaStream();
		if (!constraints.audio) return stream;
		loud ??= speech();
		const out = loud.context.createMediaStreamDestination();
		loud.connect(out);
		stream.addTrack(out.stream.getAudioTracks()[0]);
		return stream;
	};
};

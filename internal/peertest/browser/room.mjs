// What several people do in a room: their media go through the bridge.
import assert from 'node:assert/strict';
import { ask, newRoom } from './drive.mjs';

const names = ['Ann', 'Bob', 'Cid', 'Dot'];

/** fill puts so many people into a new room, one after the other, and waits until the bridge carries their media. */
async function fill(browser, count, hash = '', prepare = () => {}) {
	const room = newRoom();
	const people = [];
	for (const name of names.slice(0, count)) {
		const p = await browser.person(name);
		await prepare(p);
		await p.enter(room, hash);
		await p.inside();
		people.push(p);
	}
	if (count > 2) await Promise.all(people.map((p) => p.bridged()));
	return people;
}

const idOf = async (person) => (await person.view()).me;

/** pictures waits until a person has decoded so many more frames of each of the others, shown in their tiles. */
async function pictures(person, others, frames = 20) {
	const counted = () => person.tab.evaluate(async () => Object.fromEntries(await Promise.all([...document.querySelectorAll('.remote')].map(async (tile) => {
		const video = tile.querySelector('video');
		return [tile.dataset.source, video.classList.contains('unseen') ? -1 : video.getVideoPlaybackQuality().totalVideoFrames];
	}))));
	const first = {};
	const deadline = Date.now() + 40_000;
	for (;;) {
		const now = await counted();
		let done = true;
		for (const id of others) {
			const n = now[`${id}-v0`] ?? -1;
			if (n >= 0) first[id] = Math.min(first[id] ?? n, n);
			if (!(n >= first[id] + frames)) done = false;
		}
		if (done) return now;
		if (Date.now() > deadline) throw new Error(`${person.name} does not see everybody: ${JSON.stringify(now)}, at first ${JSON.stringify(first)}`);
		await person.tab.waitForTimeout(200);
	}
}

/** voices waits until each of the others' beeps have been heard. */
async function voices(person, others) {
	const energy = () => person.tab.evaluate(async () => Object.fromEntries(await Promise.all([...globalThis.parley.bridge.playing].filter(([, s]) => s.kind === 'audio').map(async ([source, { owner }]) => {
		const stats = await globalThis.parley.bridge.receiver(source).getStats();
		return [owner, [...stats.values()].find((s) => s.type === 'inbound-rtp')?.totalAudioEnergy ?? 0];
	}))));
	const before = await energy();
	const deadline = Date.now() + 40_000;
	for (;;) {
		const now = await energy();
		if (others.every((id) => now[id] > (before[id] ?? 0) + 1e-4)) return;
		if (Date.now() > deadline) throw new Error(`${person.name} does not hear everybody: ${JSON.stringify(before)}, ${JSON.stringify(now)}`);
		await person.tab.waitForTimeout(200);
	}
}

// watchGaps notes, in the page, the longest time in which the picture of a member stood still, and its sound, and how things were.
const watchGaps = (id) => {
	const longest = { picture: 0, sound: 0, during: {} };
	const seen = { picture: { what: '', at: performance.now() }, sound: { what: '', at: performance.now() } };
	const note = (kind, what) => {
		const now = performance.now();
		if (now - seen[kind].at > longest[kind]) {
			longest[kind] = now - seen[kind].at;
			const { gate, view } = globalThis.parley;
			longest.during[kind] = `${view.members.length} others, ${gate?.direct ? 'direct' : 'bridge'}${gate?.bridge.carrying ? '' : ' rests'}, call ${gate?.call?.state}, picture ${document.querySelector(`[data-source="${id}-v0"] video`)?.className}, ${what}`;
		}
		if (what !== undefined && what !== seen[kind].what) seen[kind] = { what, at: now };
	};
	const look = async () => {
		const video = document.querySelector(`[data-source="${id}-v0"] video`);
		note('picture', video && !video.classList.contains('unseen') ? `${video.srcObject?.id} ${video.getVideoPlaybackQuality().totalVideoFrames}` : undefined);
		const { parley } = globalThis;
		const heard = parley.gate?.direct ? parley.call.tracks.audio : parley.bridge?.track(`${id}-a0`);
		const receiver = [parley.call?.pc, parley.bridge?.pc].map((pc) => pc?.getReceivers().find((r) => r.track === heard)).find(Boolean);
		const stats = receiver && [...(await receiver.getStats()).values()].find((s) => s.type === 'inbound-rtp');
		note('sound', stats ? `${heard.id} ${stats.packetsReceived}` : undefined);
		globalThis.gapTimer = setTimeout(look, 30);
	};
	globalThis.gaps = longest;
	look();
};

/**
 * follow watches two people and returns a function that gives the longest times since, in ms, and fails if one was a second
 * or more. What a busy computer does to picture and sound while nothing changes is measured at first, and allowed.
 */
async function follow(one, other, ids) {
	await one.tab.evaluate(watchGaps, ids[1]);
	await other.tab.evaluate(watchGaps, ids[0]);
	await one.tab.waitForTimeout(3000);
	const take = () => Promise.all([one, other].map((p) => p.tab.evaluate(() => {
		const now = { ...globalThis.gaps };
		Object.assign(globalThis.gaps, { picture: 0, sound: 0, during: {} });
		return now;
	})));
	const before = await take();
	return async () => {
		const gaps = await take();
		gaps.forEach((gap, i) => {
			for (const kind of ['picture', 'sound']) {
				assert.ok(gap[kind] > 0 && gap[kind] < 1000 + 2 * before[i][kind], `the ${kind} of ${[other, one][i].name} stood still for ${gap[kind]} ms (${gap.during[kind]}), before that for ${before[i][kind]} ms`);
			}
		});
		return { before, gaps };
	};
}

/**
 * four: four people see and hear one another through the bridge. Then they leave one by one, by closing their windows, until
 * the last two talk directly; at no time does the picture or the sound of one of these stand still for a second.
 */
export async function four(browser) {
	const people = await fill(browser, 4);
	const ids = await Promise.all(people.map(idOf));
	await Promise.all(people.map(async (p, i) => {
		const others = ids.filter((_, j) => j !== i);
		await pictures(p, others);
		await voices(p, others);
	}));
	for (const p of people) await p.shows('Connected through the bridge', '#state');
	const [ann, bob, cid, dot] = people;
	const gaps = await follow(ann, bob, ids);
	await dot.tab.close({ runBeforeUnload: true });
	await ann.until(() => globalThis.parley.view.members.length === 2, 'Dot having left');
	await ann.tab.waitForTimeout(1500);
	assert.equal((await ann.view()).direct, false, 'three are still there');
	// Bob's path does not settle for a while: Ann, who no longer needs the bridge, has to go on sending to it.
	await bob.tab.evaluate(() => {
		globalThis.unsettled = setInterval(() => {
			if (globalThis.parley.call) globalThis.parley.call.pathSince = Date.now();
		}, 50);
	});
	await cid.tab.close({ runBeforeUnload: true });
	await ann.until(() => globalThis.parley.view.direct, 'the direct way');
	await ann.tab.waitForTimeout(5000);
	assert.equal(await bob.tab.evaluate(() => globalThis.parley.view.direct), false, 'Bob goes on watching by way of the bridge');
	await bob.tab.evaluate(() => clearInterval(globalThis.unsettled));
	await bob.until(() => globalThis.parley.view.direct, 'the direct way');
	for (const p of [ann, bob]) await p.until(() => !globalThis.parley.bridge.carrying, 'that the bridge rests');
	await ann.tab.waitForTimeout(1500);
	const figures = await gaps();
	for (const p of [ann, bob]) await p.shows('Connected directly', '#state');
	await Promise.all([ann.sees(30), bob.sees(30)]);
	return figures;
}

/** joined: two talk directly; when a third comes everybody goes to the bridge, without a second in which a picture stands still. */
export async function joined(browser) {
	const room = newRoom();
	const [ann, bob, cid] = await Promise.all(names.slice(0, 3).map((name) => browser.person(name)));
	for (const p of [ann, bob]) {
		await p.enter(room);
		await p.inside();
	}
	for (const p of [ann, bob]) await p.until(() => globalThis.parley.view.direct, 'the direct way');
	await ann.tab.waitForTimeout(1500);
	const ids = await Promise.all([ann, bob].map(idOf));
	const gaps = await follow(ann, bob, ids);
	await cid.enter(room);
	await Promise.all([ann, bob, cid].map((p) => p.bridged()));
	ids.push(await idOf(cid));
	await Promise.all([ann, bob, cid].map((p, i) => pictures(p, ids.filter((_, j) => j !== i))));
	for (const p of [ann, bob]) await p.until(() => globalThis.parley.call === undefined, 'the end of the direct call');
	await ann.tab.waitForTimeout(1500);
	const figures = await gaps();
	return figures;
}

// widthOf is the width of the picture that is decoded of a source.
const widthOf = (person, source) => person.tab.evaluate(async (name) => {
	const stats = await globalThis.parley.bridge.receiver(name)?.getStats();
	return stats && [...stats.values()].find((s) => s.type === 'inbound-rtp')?.frameWidth;
}, source);

async function width(person, source, fits, what, within = 20_000) {
	const from = Date.now();
	for (;;) {
		const w = await widthOf(person, source);
		if (fits(w)) return { width: w, ms: Date.now() - from };
		if (Date.now() - from > within) throw new Error(`${what}: ${person.name} still gets ${w} pixels after ${within} ms`);
		await person.tab.waitForTimeout(50);
	}
}

/** sizes: who makes a tile small gets a smaller picture within two seconds, and a larger one when it grows; others are not affected. */
export async function sizes(browser, codec) {
	const [ann, bob, cid] = await fill(browser, 3, `#config.resolution=360&config.videoCodec=${codec}`);
	const source = `${await idOf(bob)}-v0`;
	await width(ann, source, (w) => w >= 600, 'a large tile', 40_000);
	await width(cid, source, (w) => w >= 600, 'a large tile', 40_000);
	const used = await ann.tab.evaluate(async (name) => {
		const stats = await globalThis.parley.bridge.receiver(name).getStats();
		return stats.get([...stats.values()].find((s) => s.type === 'inbound-rtp').codecId).mimeType.toLowerCase();
	}, source);
	assert.equal(used, `video/${codec}`);
	const freezes = () => ann.tab.evaluate(async (name) => [...(await globalThis.parley.bridge.receiver(name).getStats()).values()].find((s) => s.type === 'inbound-rtp').freezeCount, source);
	const before = await freezes();
	const rounds = [];
	for (let i = 0; i < 3; i++) {
		await ann.tab.waitForTimeout(1500);
		await ann.tab.setViewportSize({ width: 420, height: 420 });
		const small = await width(ann, source, (w) => w < 400, 'a small tile');
		await width(cid, source, (w) => w >= 600, 'beside a small tile of somebody else');
		await ann.tab.waitForTimeout(1500);
		await ann.tab.setViewportSize({ width: 1280, height: 800 });
		const large = await width(ann, source, (w) => w >= 600, 'a large tile again');
		rounds.push({ small: small.ms, large: large.ms });
	}
	// The median, as these machines have other things to do.
	const median = Object.fromEntries(['small', 'large'].map((k) => [k, rounds.map((r) => r[k]).sort((a, b) => a - b)[1]]));
	assert.ok(median.small < 2000 && median.large < 2000, `it took ${JSON.stringify(rounds)} ms`);
	const frozen = await freezes() - before;
	// What nobody sees is not sent: a hidden page wants nothing, and who is seen by nobody stops sending.
	for (const p of [ann, cid]) {
		await p.tab.evaluate(() => {
			Object.defineProperty(document, 'hidden', { value: true, configurable: true });
			document.dispatchEvent(new Event('visibilitychange'));
		});
	}
	await bob.until(() => globalThis.parley.bridge.wanted.get(`${globalThis.parley.view.me}-v0`) === 0, 'that nobody wants the picture');
	const encoded = () => bob.tab.evaluate(async () => [...(await globalThis.parley.bridge.pc.getStats()).values()].filter((s) => s.type === 'outbound-rtp' && s.kind === 'video').reduce((n, s) => n + (s.framesEncoded ?? 0), 0));
	await bob.tab.waitForTimeout(700);
	const still = await encoded();
	await bob.tab.waitForTimeout(700);
	assert.equal(await encoded(), still, 'Bob goes on encoding');
	await cid.tab.evaluate(() => {
		delete document.hidden;
		document.dispatchEvent(new Event('visibilitychange'));
	});
	await pictures(cid, [await idOf(bob)]);
	return { rounds, frozen };
}

// A screen that is one colour, which no camera shows, in place of the browser's picker.
export const magentaScreen = () => {
	navigator.mediaDevices.getDisplayMedia = async () => {
		const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 800 });
		const draw = canvas.getContext('2d');
		setInterval(() => { draw.fillStyle = '#ff00ff'; draw.fillRect(0, 0, 1280, 800); }, 50);
		return canvas.captureStream(20);
	};
};

/** colour is the colour of the picture in a tile, undefined if there is none. */
export const colour = (person, source) => person.tab.evaluate((name) => {
	const video = document.querySelector(`[data-source="${name}"] video`);
	if (!video?.videoWidth || video.classList.contains('unseen')) return undefined;
	const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
	const draw = canvas.getContext('2d');
	draw.drawImage(video, 0, 0, 1, 1);
	return [...draw.getImageData(0, 0, 1, 1).data].slice(0, 3);
}, source);

export const isMagenta = (c) => Boolean(c) && c[0] > 200 && c[1] < 80 && c[2] > 200;

/** shows waits until a tile has a picture that is magenta, or one that is not. */
export async function tileShows(person, source, magenta) {
	const deadline = Date.now() + 40_000;
	for (;;) {
		const c = await colour(person, source);
		if (c && isMagenta(c) === magenta) return c;
		if (Date.now() > deadline) throw new Error(`${person.name} sees ${c} in ${source}`);
		await person.tab.waitForTimeout(100);
	}
}

/** screen: a shared screen is a tile of its own beside the camera, and large; a late one gets it, too; it goes when it ends. */
export async function screen(browser) {
	const [ann, bob, cid] = await fill(browser, 3);
	const id = await idOf(ann);
	await pictures(bob, [id]);
	await ann.tab.evaluate(magentaScreen);
	await ann.press('s');
	for (const p of [bob, cid]) {
		await tileShows(p, `${id}-v1`, true);
		await tileShows(p, `${id}-v0`, false);
		await p.until((name) => Boolean(document.querySelector(`.large [data-source="${name}"]`)), 'the screen large', `${id}-v1`);
	}
	const dot = await browser.person('Dot');
	await dot.enter(new URL(ann.tab.url()).pathname.slice(1));
	await dot.bridged();
	await tileShows(dot, `${id}-v1`, true);
	await tileShows(dot, `${id}-v0`, false);
	await ann.press('s');
	for (const p of [bob, cid, dot]) {
		await p.until((name) => !document.querySelector(`[data-source="${name}"]`), 'the end of the screen', `${id}-v1`);
		await pictures(p, [id]);
	}
	await ann.press('s'); // and once more
	await tileShows(bob, `${id}-v1`, true);
}

// A voice that is heard when globalThis.speak(true) says so, in place of the false microphone; called in the page at first.
const voice = () => {
	const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
	navigator.mediaDevices.getUserMedia = async (constraints) => {
		const stream = constraints.video ? await real({ video: constraints.video }) : new MediaStream();
		if (!constraints.audio) return stream;
		const context = new AudioContext();
		const out = context.createMediaStreamDestination();
		const tone = new OscillatorNode(context, { frequency: 300 });
		const loud = new GainNode(context, { gain: 0.0005 });
		tone.connect(loud).connect(out);
		tone.start();
		globalThis.speak = (on) => { loud.gain.value = on ? 0.4 : 0.0005; };
		stream.addTrack(out.stream.getAudioTracks()[0]);
		return stream;
	};
};

/** speaker: who speaks is marked, by everybody but itself; of more people than places, who speaks is in view. */
export async function speaker(browser) {
	const people = await fill(browser, 4, '', (p) => p.tab.addInitScript(voice));
	const [ann, bob, cid, dot] = people;
	const ids = await Promise.all(people.map(idOf));
	const marked = (p, id) => p.until((name) => document.querySelector('.speaking')?.dataset.source === name, 'the speaker being marked', `${id}-v0`);
	await ann.tab.waitForTimeout(1500); // the noise is known
	await bob.tab.evaluate(() => globalThis.speak(true));
	for (const p of [ann, cid, dot]) await marked(p, ids[1]);
	await bob.tab.evaluate(() => globalThis.speak(false));
	await dot.tab.evaluate(() => globalThis.speak(true));
	for (const p of [ann, bob, cid]) await marked(p, ids[3]);
	await dot.tab.evaluate(() => globalThis.speak(false));
	// So small that only one of the three others has a place.
	await ann.tab.setViewportSize({ width: 290, height: 340 });
	await ann.until(() => document.querySelectorAll('.grid .remote').length < 3, 'fewer places than people');
	await ann.shows('more', '.more');
	const hidden = await ann.tab.evaluate((all) => all.filter((id) => !document.querySelector(`[data-source="${id}-v0"]`)), ids.slice(1));
	assert.ok(hidden.length > 0);
	await ann.until((id) => !globalThis.parley.bridge.forwarded.has(`${id}-v0`), 'that the bridge no longer sends who is not seen', hidden[0]);
	await people[ids.indexOf(hidden[0])].tab.evaluate(() => globalThis.speak(true));
	await marked(ann, hidden[0]);
	await pictures(ann, [hidden[0]], 10);
	return { hidden: hidden.length };
}

/** stage: a click, or a key, shows somebody large; the panel says what comes, and why. */
export async function stage(browser) {
	const [ann, bob, cid] = await fill(browser, 3, '#config.resolution=360');
	const [bobs, cids] = (await Promise.all([bob, cid].map(idOf))).map((id) => `${id}-v0`);
	await pictures(ann, [bobs.slice(0, -3), cids.slice(0, -3)]);
	const large = () => ann.tab.evaluate(() => document.querySelector('.large .remote')?.dataset.source);
	await ann.tab.click(`[data-source="${bobs}"] .pin`);
	assert.equal(await large(), bobs);
	await width(ann, bobs, (w) => w >= 600, 'the large tile');
	await width(ann, cids, (w) => w < 400, 'the tile in the strip');
	await ann.press('q');
	await ann.until(([b, c]) => /640×360.*fps.*VP8.*bit\/s/.test(document.querySelector(`.quality [data-source="${b}"] .size`)?.innerText)
		&& /small tile/.test(document.querySelector(`.quality [data-source="${c}"] .why`)?.innerText), 'what comes, in words', [bobs, cids]);
	await cid.press('v');
	await ann.until((c) => document.querySelector(`.quality [data-source="${c}"] .why`)?.innerText === 'camera off', 'the camera being off, in words', cids);
	await ann.press('Escape');
	await ann.press('Escape');
	assert.equal(await large(), undefined, 'Escape goes back to the grid');
	await ann.tab.focus(`[data-source="${cids}"] .pin`);
	await ann.press('Enter');
	assert.equal(await large(), cids);
	await ann.press('g');
	assert.equal(await large(), undefined, 'G goes back to the grid');
	const words = await bob.tab.evaluate(async () => {
		document.querySelector('button[aria-label^="What is sent"]').click();
		await new Promise((resolve) => { setTimeout(resolve, 2500); });
		return document.querySelector('.quality').innerText;
	});
	assert.match(words, /Your camera/);
	return { words };
}

/** poor: one has no devices, one only a microphone; both see and hear the others. */
export async function poor(browser) {
	const room = newRoom();
	const [ann, bob, cid] = await Promise.all(names.slice(0, 3).map((name) => browser.person(name)));
	await bob.tab.addInitScript(() => {
		navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('none', 'NotFoundError'));
	});
	for (const p of [ann, bob, cid]) {
		await p.enter(room, p === cid ? '#config.startWithVideoMuted=true' : '');
		await p.inside();
	}
	await Promise.all([ann, bob, cid].map((p) => p.bridged()));
	const [a, b, c] = await Promise.all([ann, bob, cid].map(idOf));
	await Promise.all([pictures(bob, [a]), pictures(cid, [a]), voices(bob, [a, c]), voices(ann, [c]), voices(cid, [a])]);
	await ann.shows('Camera is off', `[data-source="${b}-v0"]`);
	await ann.shows('Camera is off', `[data-source="${c}-v0"]`);
	await cid.press('v'); // it has a camera after all
	await Promise.all([pictures(ann, [c]), pictures(bob, [c])]);
}

/** again: an ICE restart in the session, and then another session in its place; the media come back both times. */
export async function again(browser) {
	const [ann, bob, cid] = await fill(browser, 3);
	const ids = await Promise.all([ann, bob, cid].map(idOf));
	await pictures(ann, ids.slice(1));
	const credentials = () => ann.tab.evaluate(() => ['localDescription', 'remoteDescription'].map((d) => /a=ice-ufrag:(\S+)/.exec(globalThis.parley.bridge.pc[d].sdp)[1]));
	const before = await credentials();
	// What a path that is lost for good brings about.
	await ann.tab.evaluate(() => {
		Object.defineProperty(globalThis.parley.bridge.pc, 'connectionState', { value: 'failed', configurable: true });
		globalThis.parley.bridge.pc.onconnectionstatechange();
		delete globalThis.parley.bridge.pc.connectionState;
	});
	await ann.until((old) => ['localDescription', 'remoteDescription'].every((d, i) => /a=ice-ufrag:(\S+)/.exec(globalThis.parley.bridge.pc[d].sdp)[1] !== old[i]), 'other credentials', before);
	assert.ok(ann.sent.some((s) => s.includes('ice-restart="true"')), 'no wish for an ICE restart');
	assert.ok(ann.sent.some((s) => s.includes('action="transport-info"') && s.includes('ice-generation="1"')), 'no answer to the ICE restart');
	await ann.bridged();
	await Promise.all([pictures(ann, ids.slice(1)), pictures(bob, [ids[0]]), pictures(cid, [ids[0]])]);
	await ann.tab.waitForTimeout(5500); // the focus wants five seconds between
	const sid = await ann.tab.evaluate(() => {
		globalThis.before = globalThis.parley.bridge.pc;
		globalThis.parley.bridge.state = 'mending';
		globalThis.parley.bridge.retry();
		return globalThis.before.connectionState;
	});
	await ann.until(() => globalThis.parley.bridge.pc && globalThis.parley.bridge.pc !== globalThis.before, 'another session', sid);
	await ann.bridged();
	await Promise.all([pictures(ann, ids.slice(1)), pictures(bob, [ids[0]]), pictures(cid, [ids[0]])]);
}

/** bridgeless: the bridge is killed and comes again; nobody leaves, and everybody sees everybody within five seconds. */
export async function bridgeless(browser) {
	const people = await fill(browser, 3);
	const ids = await Promise.all(people.map(idOf));
	const seen = (frames) => Promise.all(people.map(async (p, i) => {
		await pictures(p, ids.filter((_, j) => j !== i), frames);
		return Date.now();
	}));
	await seen();
	const before = people.map((p) => p.received.length);
	for (const p of people) await p.tab.evaluate(() => { globalThis.before = globalThis.parley.bridge.pc; });
	const from = Date.now();
	await ask('bridge');
	await Promise.all(people.map((p) => p.until(() => {
		const { pc, state } = globalThis.parley.bridge;
		return pc && pc !== globalThis.before && state === 'connected';
	}, 'a session with the other bridge')));
	const connected = Date.now() - from;
	const ms = (await seen(5)).map((at) => at - from);
	people.forEach((p, i) => {
		assert.ok(!p.received.slice(before[i]).some((s) => /<presence[^>]*type=["']unavailable/.test(s)), `${p.name} was told that somebody left`);
	});
	assert.ok(Math.max(...ms) < 5000, `it took ${ms} ms, ${connected} of them to be connected`);
	return { connected, ms };
}

/** trouble: whose media suffer, and where on their way, is in the panel: who loses packets reads it, and so do the others. */
export async function trouble(browser, folder) {
	let network;
	const lose = (packetLoss) => network.send('Network.emulateNetworkConditions', { offline: false, latency: 1, downloadThroughput: -1, uploadThroughput: -1, packetLoss, packetQueueLength: 0 });
	const [ann, bob] = await fill(browser, 3, '', async (p) => {
		if (p.name !== 'Bob') return;
		network = await p.context.newCDPSession(p.tab);
		await network.send('Network.enable');
		await lose(0);
	});
	const id = await idOf(bob);
	await ann.press('q');
	await bob.press('q');
	await lose(15);
	await ann.until((bobs) => /^bad connection on their side: /.test(document.querySelector(`.quality [data-source="${bobs}-v0"] .why`)?.innerText), 'whose connection is bad', id);
	await bob.shows('Your connection loses what you send.', '.quality .trouble');
	for (const p of folder ? [ann, bob] : []) await p.tab.screenshot({ path: `${folder}/trouble-${p.name}.png` });
	await lose(0);
	await ann.until((bobs) => !/bad connection/.test(document.querySelector(`.quality [data-source="${bobs}-v0"] .why`)?.innerText), 'that it is good again', id);
	await bob.until(() => !document.querySelector('.quality .trouble'), 'that it is good again');
	return {};
}

/** busy: a bridge that gets too little time says so to everybody. */
export async function busy(browser, folder) {
	const people = await fill(browser, 3);
	for (const p of people) await p.press('q');
	await ask('slow');
	for (const p of people) await p.shows('The server is too busy at the moment.', '.quality .trouble');
	if (folder) await people[0].tab.screenshot({ path: `${folder}/busy.png` });
	await ask('fast');
	return {};
}

// The sequences of the textbooks, with plain RTCPeerConnection code over signaling.js.
import assert from 'node:assert/strict';
import { newRoom } from './drive.mjs';

// Both windows are at a path that shows nothing, so that only what the test writes runs.
async function two(browser, options = {}) {
	const room = newRoom();
	const people = [await browser.person('Caller'), await browser.person('Callee')];
	const ids = [];
	for (const p of people) {
		await p.open('/page.json');
		ids.push(await p.tab.evaluate(async ([room, options]) => {
			const { SignalingChannel, enter } = await import('/static/js/signaling.js');
			const me = await enter(room, options);
			Object.assign(globalThis, { SignalingChannel, me });
			globalThis.seen = { states: [], gathering: [], candidates: 0, early: 0 };
			// A picture that moves, and a peer connection that writes down its states.
			globalThis.picture = () => {
				const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 240 });
				const draw = canvas.getContext('2d');
				setInterval(() => { draw.fillStyle = `hsl(${performance.now() / 10 % 360} 80% 50%)`; draw.fillRect(0, 0, 320, 240); }, 33);
				const stream = canvas.captureStream(30);
				return [stream.getVideoTracks()[0], stream];
			};
			globalThis.watch = (pc) => {
				globalThis.pc = pc;
				seen.gathering.push(pc.iceGatheringState);
				pc.addEventListener('icegatheringstatechange', () => seen.gathering.push(pc.iceGatheringState));
				pc.addEventListener('connectionstatechange', () => seen.states.push(pc.connectionState));
				pc.addEventListener('track', (e) => { const v = document.createElement('video'); v.muted = true; v.srcObject = new MediaStream([e.track]); v.play(); document.body.append(v); });
				return pc;
			};
			globalThis.frames = async () => [...(await globalThis.pc.getStats()).values()].filter((s) => s.type === 'inbound-rtp' && s.kind === 'video').map((s) => s.framesDecoded ?? 0);
			return me.id;
		}, [room, options]));
	}
	return { people, ids, room };
}

// The callee of the textbook: on an offer it creates its connection, and answers. delay holds the answer back.
const answerCalls = ([id, delay]) => {
	const signaling = new SignalingChannel(id);
	let pc;
	signaling.addEventListener('message', async (message) => {
		if (message.offer) {
			pc ??= watch(new RTCPeerConnection({ iceServers: me.iceServers }));
			if (pc.getSenders().length === 0) pc.addTrack(...picture());
			pc.addEventListener('icecandidate', (event) => signaling.send({ iceCandidate: event.candidate }), { once: false });
			await pc.setRemoteDescription(new RTCSessionDescription(message.offer));
			const answer = await pc.createAnswer();
			await pc.setLocalDescription(answer);
			if (delay) await new Promise((r) => { setTimeout(r, delay); });
			signaling.send({ answer });
		}
		if ('iceCandidate' in message) {
			seen.candidates++;
			await pc.addIceCandidate(message.iceCandidate ?? undefined);
		}
	});
};

// The caller of the textbook.
const makeCall = async (id) => {
	const signaling = new SignalingChannel(id);
	const pc = watch(new RTCPeerConnection({ iceServers: me.iceServers }));
	signaling.addEventListener('message', async (message) => {
		if (message.answer) {
			seen.answered = true;
			await pc.setRemoteDescription(new RTCSessionDescription(message.answer));
		}
		if ('iceCandidate' in message) {
			seen.candidates++;
			if (!seen.answered) seen.early++;
			await pc.addIceCandidate(message.iceCandidate ?? undefined);
		}
	});
	pc.addEventListener('icecandidate', (event) => signaling.send({ iceCandidate: event.candidate }));
	pc.addTrack(...picture());
	const offer = await pc.createOffer();
	await pc.setLocalDescription(offer);
	globalThis.began = performance.now();
	signaling.send({ offer });
};

async function connected(people, frames = 30) {
	for (const p of people) {
		await p.until(() => globalThis.pc?.connectionState === 'connected', 'the connection');
		await p.until(async (n) => { const f = await globalThis.frames(); return f.length > 0 && f.every((x) => x >= n); }, `${frames} frames`, frames);
	}
}

/** sequence is V13: the caller offers, the callee creates its connection on the offer, and answers. */
export async function sequence(browser) {
	const { people: [caller, callee], ids } = await two(browser);
	await callee.tab.evaluate(answerCalls, [ids[0], 0]);
	await caller.tab.evaluate(makeCall, ids[1]);
	await connected([caller, callee], 100);
	const seen = await Promise.all([caller, callee].map((p) => p.tab.evaluate(() => globalThis.seen)));
	for (const s of seen) {
		assert.deepEqual(s.gathering.slice(0, 3), ['new', 'gathering', 'complete']); // V15
		assert.deepEqual(s.states, ['connecting', 'connected']);
		assert.ok(s.candidates > 0, 'no candidate came by trickle');
	}
	return { candidates: seen.map((s) => s.candidates) };
}

/** delayed is V14: candidates flow while the answer is 2 s late; none is lost, none comes before it can be used. */
export async function delayed(browser) {
	const { people: [caller, callee], ids } = await two(browser);
	await callee.tab.evaluate(answerCalls, [ids[0], 2000]);
	await caller.tab.evaluate(makeCall, ids[1]);
	await connected([caller, callee]);
	const gathered = await callee.tab.evaluate(() => [...globalThis.pc.localDescription.sdp.matchAll(/^a=candidate:/gm)].length);
	const seen = await caller.tab.evaluate(() => globalThis.seen);
	assert.equal(seen.early, 0, 'a candidate came before the answer');
	assert.ok(gathered > 0 && seen.candidates >= gathered, `${seen.candidates} of ${gathered} candidates came`);
	return { gathered, came: seen.candidates };
}

/** overtaken is V14 from the other end: the answer stanza itself arrives after the candidates. */
export async function overtaken(browser) {
	const { people: [caller, callee], ids } = await two(browser);
	await caller.tab.evaluate(() => {
		const { stream } = globalThis.me;
		const serve = stream.services.get('urn:xmpp:jingle:1');
		stream.serve('urn:xmpp:jingle:1', (iq, jingle) => {
			if (jingle.attrs.action === 'session-accept') {
				setTimeout(() => serve(iq, jingle), 2000);
				return undefined;
			}
			if (jingle.attrs.action === 'transport-info') globalThis.seen.before = (globalThis.seen.before ?? 0) + (globalThis.pc.remoteDescription ? 0 : 1);
			return serve(iq, jingle);
		});
	});
	await callee.tab.evaluate(answerCalls, [ids[0], 0]);
	await caller.tab.evaluate(makeCall, ids[1]);
	await connected([caller, callee]);
	const seen = await caller.tab.evaluate(() => globalThis.seen);
	assert.ok(seen.before > 0, 'no candidate overtook the answer: the test proves nothing');
	assert.equal(seen.early, 0);
	return { overtook: seen.before, came: seen.candidates };
}

/** whole is V15: all candidates are in the descriptions, none is sent alone. */
export async function whole(browser) {
	const { people: [caller, callee], ids } = await two(browser);
	const complete = `globalThis.complete = (pc) => new Promise((r) => { const look = () => { if (pc.iceGatheringState === 'complete') r(); }; pc.addEventListener('icegatheringstatechange', look); look(); })`;
	for (const p of [caller, callee]) await p.tab.evaluate(complete);
	await callee.tab.evaluate((id) => {
		const signaling = new SignalingChannel(id);
		signaling.addEventListener('message', async (message) => {
			if ('iceCandidate' in message) seen.candidates++;
			if (!message.offer) return;
			const pc = watch(new RTCPeerConnection({ iceServers: me.iceServers }));
			pc.addTrack(...picture());
			await pc.setRemoteDescription(message.offer);
			await pc.setLocalDescription(await pc.createAnswer());
			await complete(pc);
			signaling.send({ answer: pc.localDescription });
		});
	}, ids[0]);
	await caller.tab.evaluate(async (id) => {
		const signaling = new SignalingChannel(id);
		const pc = watch(new RTCPeerConnection({ iceServers: me.iceServers }));
		signaling.addEventListener('message', async (message) => {
			if ('iceCandidate' in message) seen.candidates++;
			if (message.answer) await pc.setRemoteDescription(message.answer);
		});
		pc.addTrack(...picture());
		await pc.setLocalDescription(await pc.createOffer());
		await complete(pc);
		signaling.send({ offer: pc.localDescription });
	}, ids[1]);
	await connected([caller, callee]);
	for (const p of [caller, callee]) assert.equal(await p.tab.evaluate(() => globalThis.seen.candidates), 0);
	assert.ok(![...caller.sent, ...callee.sent].some((s) => s.includes('transport-info')), 'a candidate was sent alone');
}

// Either side may offer at any time: with the channel deciding ties, this is all there is to do.
const eitherSide = (id) => {
	const signaling = new SignalingChannel(id);
	const pc = watch(new RTCPeerConnection({ iceServers: me.iceServers }));
	let work = Promise.resolve();
	const next = (step) => { work = work.then(step).catch((e) => { (seen.errors ??= []).push(String(e)); }); };
	pc.onnegotiationneeded = () => next(async () => {
		if (pc.signalingState !== 'stable') return;
		await pc.setLocalDescription();
		signaling.send({ offer: pc.localDescription });
	});
	pc.onicecandidate = ({ candidate }) => signaling.send({ iceCandidate: candidate });
	signaling.addEventListener('message', (message) => next(async () => {
		if (message.offer) {
			seen.offers = (seen.offers ?? 0) + 1;
			await pc.setRemoteDescription(message.offer);
			await pc.setLocalDescription();
			signaling.send({ answer: pc.localDescription });
		} else if (message.answer) {
			await pc.setRemoteDescription(message.answer);
		} else {
			await pc.addIceCandidate(message.iceCandidate ?? undefined);
		}
	}));
};

/**
 * glare is V19: both offer at the same moment; one offer wins and both are connected. Then both add a track at once. On a
 * busy machine two things do not always happen at once, so it is tried until they have.
 */
export async function glare(browser) {
	for (let round = 1; round <= 6; round++) {
		const { people, ids } = await two(browser);
		for (const [i, p] of people.entries()) await p.tab.evaluate(eitherSide, ids[1 - i]);
		const addAtOnce = () => {
			const when = Date.now() + 400;
			return Promise.all(people.map((p) => p.tab.evaluate((t) => new Promise((r) => { setTimeout(() => { pc.addTrack(...picture()); r(); }, t - Date.now()); }), when)));
		};
		await addAtOnce();
		await connected(people);
		await addAtOnce();
		for (const p of people) {
			await p.until(async () => (await globalThis.frames()).filter((n) => n >= 30).length === 2, 'two pictures');
			await p.until(() => pc.signalingState === 'stable', 'peace');
			assert.deepEqual(await p.tab.evaluate(() => globalThis.seen.errors ?? []), []);
		}
		const both = people.every((p) => p.sent.some((s) => s.includes('action="session-initiate"')));
		const ties = people.flatMap((p) => p.received).filter((s) => s.includes('tie-break')).length;
		if (both && ties > 0) return { round, ties };
		await Promise.all(people.map((p) => p.context.close()));
	}
	throw new Error('no glare has happened: the test proves nothing');
}

/** reoffer is V19: a new track in a running call is a content-add, and one offer later it is seen. */
export async function reoffer(browser) {
	const { people: [caller, callee], ids } = await two(browser);
	await callee.tab.evaluate(eitherSide, ids[0]);
	await caller.tab.evaluate(eitherSide, ids[1]);
	await caller.tab.evaluate(() => { pc.addTrack(...picture()); });
	await callee.until(async () => globalThis.pc?.connectionState === 'connected' && (await globalThis.frames())[0] >= 30, 'the first picture');
	await caller.tab.evaluate(() => { pc.addTrack(...picture()); });
	await callee.until(async () => (await globalThis.frames()).filter((n) => n >= 30).length === 2, 'the second picture');
	assert.ok(caller.sent.some((s) => s.includes('action="content-add"')) && callee.sent.some((s) => s.includes('action="content-accept"')), 'no content-add and content-accept');
	await callee.tab.evaluate(() => { pc.addTrack(...picture()); }); // and from the other side
	await caller.until(async () => (await globalThis.frames()).some((n) => n >= 30), 'the picture of the callee');
}

/** late is V19: the callee enters after the caller has made its channel and its offer. */
export async function late(browser) {
	const room = newRoom();
	const caller = await browser.person('Caller');
	const callee = await browser.person('Callee');
	const prepare = async (p) => {
		await p.open('/page.json');
		await p.tab.evaluate(() => {
			globalThis.watch = (pc) => (globalThis.pc = pc);
			globalThis.got = new Promise((r) => { globalThis.gotText = r; });
		});
	};
	await prepare(caller);
	await caller.tab.evaluate(async (room) => {
		const { SignalingChannel, enter } = await import('/static/js/signaling.js');
		const signaling = new SignalingChannel(); // whoever comes
		const pc = watch(new RTCPeerConnection());
		pc.onicecandidate = ({ candidate }) => signaling.send({ iceCandidate: candidate });
		signaling.addEventListener('message', async (m) => {
			if (m.answer) await pc.setRemoteDescription(m.answer);
			else if ('iceCandidate' in m) await pc.addIceCandidate(m.iceCandidate ?? undefined);
		});
		const channel = pc.createDataChannel('words');
		channel.onmessage = (e) => gotText(e.data);
		channel.onopen = () => channel.send('hello');
		await pc.setLocalDescription();
		signaling.send({ offer: pc.localDescription });
		await enter(room);
	}, room);
	await caller.tab.waitForTimeout(500);
	await prepare(callee);
	await callee.tab.evaluate(async (room) => {
		const { SignalingChannel, enter } = await import('/static/js/signaling.js');
		const { others } = await enter(room);
		await new Promise((r) => { setTimeout(r, 300); }); // the offer is there before the channel is
		const signaling = new SignalingChannel(others[0]);
		const pc = watch(new RTCPeerConnection());
		pc.onicecandidate = ({ candidate }) => signaling.send({ iceCandidate: candidate });
		pc.ondatachannel = ({ channel }) => { channel.onmessage = (e) => { gotText(e.data); channel.send('welcome'); }; };
		signaling.addEventListener('message', async (m) => {
			if (m.offer) {
				await pc.setRemoteDescription(m.offer);
				await pc.setLocalDescription();
				signaling.send({ answer: pc.localDescription });
			} else if ('iceCandidate' in m) await pc.addIceCandidate(m.iceCandidate ?? undefined);
		});
	}, room);
	const texts = await Promise.all([caller, callee].map((p) => Promise.race([p.tab.evaluate(() => globalThis.got), new Promise((r) => { setTimeout(() => r('nothing'), 15_000); })])));
	assert.deepEqual(texts, ['welcome', 'hello']);
}

/** trickles is V18: with trickle, a call is not connected later than without. Medians of a few, in milliseconds. */
export async function trickles(browser, rounds = '5') {
	const times = { trickle: [], whole: [] };
	for (let i = 0; i < Number(rounds); i++) {
		for (const way of ['trickle', 'whole']) times[way].push(await timed(browser, way === 'trickle'));
	}
	const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
	return { trickle: Math.round(median(times.trickle)), whole: Math.round(median(times.whole)) };
}

async function timed(browser, trickle) {
	const { people: [caller, callee], ids } = await two(browser);
	const side = ([id, trickle, calls]) => {
		const signaling = new SignalingChannel(id);
		const pc = watch(new RTCPeerConnection({ iceServers: me.iceServers }));
		const complete = () => new Promise((r) => { const look = () => { if (pc.iceGatheringState === 'complete') r(); }; pc.addEventListener('icegatheringstatechange', look); look(); });
		const describe = async (kind) => {
			await pc.setLocalDescription();
			if (!trickle) await complete();
			signaling.send({ [kind]: pc.localDescription });
		};
		if (trickle) pc.onicecandidate = ({ candidate }) => signaling.send({ iceCandidate: candidate });
		signaling.addEventListener('message', async (m) => {
			if (m.offer) {
				await pc.setRemoteDescription(m.offer);
				await describe('answer');
			} else if (m.answer) await pc.setRemoteDescription(m.answer);
			else await pc.addIceCandidate(m.iceCandidate ?? undefined);
		});
		if (!calls) return undefined;
		const began = performance.now();
		pc.createDataChannel('x');
		describe('offer');
		return new Promise((r) => { pc.onconnectionstatechange = () => { if (pc.connectionState === 'connected') r(performance.now() - began); }; });
	};
	await callee.tab.evaluate(side, [ids[0], trickle, false]);
	const took = await Promise.race([caller.tab.evaluate(side, [ids[1], trickle, true]), new Promise((_, no) => { setTimeout(() => no(new Error('not connected')), 15_000); })]);
	await Promise.all([caller, callee].map((p) => p.context.close()));
	return took;
}

// AppRTC's door: a page that knows Collider's documented interface alone, and the pages of rooms.
import assert from 'node:assert/strict';
import { newRoom } from './drive.mjs';

// The whole client: register, send, and what comes as {msg, error}. It runs in the page.
const colliderClient = ([room, id]) => {
	const seen = globalThis.seen = { messages: [], errors: [], states: [] };
	const picture = () => {
		const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 240 });
		const draw = canvas.getContext('2d');
		setInterval(() => { draw.fillStyle = `hsl(${performance.now() / 10 % 360} 80% 50%)`; draw.fillRect(0, 0, 320, 240); }, 50);
		return canvas.captureStream(15);
	};
	const pc = globalThis.pc = new RTCPeerConnection();
	const stream = picture();
	for (const track of stream.getTracks()) pc.addTrack(track, stream);
	const video = document.body.appendChild(Object.assign(document.createElement('video'), { id: 'remote-video', muted: true, autoplay: true }));
	pc.ontrack = (e) => { video.srcObject = e.streams[0]; };
	pc.onconnectionstatechange = () => seen.states.push(pc.connectionState);

	let ws;
	const waiting = []; // what could not be said without a connection
	const send = globalThis.send = (m) => {
		const text = JSON.stringify(m);
		if (ws?.readyState === WebSocket.OPEN) ws.send(JSON.stringify({ cmd: 'send', msg: text }));
		else waiting.push(m);
	};
	pc.onicecandidate = (e) => { if (e.candidate) send({ type: 'candidate', label: e.candidate.sdpMLineIndex, id: e.candidate.sdpMid, candidate: e.candidate.candidate }); };
	let early = [];
	const described = async () => {
		for (const c of early) await pc.addIceCandidate(c);
		early = [];
	};
	const hear = async (m) => {
		seen.messages.push(m.type);
		if (m.type === 'offer') {
			await pc.setRemoteDescription(m);
			await pc.setLocalDescription();
			send({ type: 'answer', sdp: pc.localDescription.sdp });
			await described();
		} else if (m.type === 'answer') {
			await pc.setRemoteDescription(m);
			await described();
		} else if (m.type === 'candidate') {
			const c = { candidate: m.candidate, sdpMid: m.id, sdpMLineIndex: m.label };
			if (pc.remoteDescription) await pc.addIceCandidate(c);
			else early.push(c);
		}
	};
	let order = Promise.resolve();
	// It resolves when the server has closed, too.
	globalThis.drop = () => new Promise((resolve) => {
		ws.onclose = () => resolve();
		ws.close();
	});
	globalThis.connect = () => new Promise((resolve) => {
		ws = new WebSocket(`${location.origin.replace('http', 'ws')}/ws`);
		ws.onopen = () => {
			ws.send(JSON.stringify({ cmd: 'register', roomid: room, clientid: id }));
			for (const m of waiting.splice(0)) send(m);
			resolve();
		};
		ws.onmessage = (e) => {
			const { msg, error } = JSON.parse(e.data);
			if (error) seen.errors.push(error);
			else order = order.then(() => hear(JSON.parse(msg)));
		};
	});
	globalThis.call = async (options) => {
		await pc.setLocalDescription(await pc.createOffer(options));
		send({ type: 'offer', sdp: pc.localDescription.sdp });
	};
	return connect();
};

/** watches waits until the picture of the other goes on. Frames are counted anew with each stream. */
async function watches(p) {
	await p.tab.evaluate(() => { globalThis.watched = undefined; });
	await p.until(() => {
		const n = document.getElementById('remote-video').getVideoPlaybackQuality().totalVideoFrames;
		const w = globalThis.watched ??= { last: n, more: 0 };
		w.more += Math.max(0, n - w.last);
		w.last = n;
		return w.more >= 5;
	}, 'the picture of the other');
}

/** collider: one registers and speaks, the other comes, loses its connection, comes back within the time, and is told goodbye. */
export async function collider(browser) {
	const room = newRoom();
	const [ann, bob] = [await browser.person('Ann'), await browser.person('Bob')];
	for (const p of [ann, bob]) await p.open('/page.json');
	await ann.tab.evaluate(colliderClient, [room, 'ann']);
	await ann.tab.evaluate(() => globalThis.call()); // nobody is there yet
	await bob.tab.evaluate(colliderClient, [room, 'bob']);
	await Promise.all([watches(ann), watches(bob)]);

	await bob.tab.evaluate(() => globalThis.drop());
	await bob.tab.waitForTimeout(1000); // the server has seen that
	await ann.tab.evaluate(() => globalThis.call({ iceRestart: true }));
	await bob.tab.evaluate(() => globalThis.connect());
	await ann.until(() => globalThis.seen.messages.filter((t) => t === 'answer').length === 2, 'the answer to what was said meanwhile');
	await Promise.all([watches(ann), watches(bob)]);

	await ann.tab.evaluate(() => globalThis.send({ type: 'bye' }));
	await bob.until(() => globalThis.seen.messages.includes('bye'), 'the goodbye');
	for (const p of [ann, bob]) assert.deepEqual(await p.tab.evaluate(() => globalThis.seen.errors), []);
}

async function page(browser, name, room) {
	const p = await browser.person(name);
	await p.open(`/r/${room}?name=${name}&video=maxWidth=320,maxHeight=240`);
	return p;
}

/** pages: two meet, one hangs up, one closes its tab, and each time somebody new finds the one who stays. */
export async function pages(browser) {
	const room = newRoom();
	const ann = await page(browser, 'Ann', room);
	await ann.shows('Waiting for somebody');
	const bob = await page(browser, 'Bob', room);
	await Promise.all([watches(ann), watches(bob)]);
	await bob.tab.click('#hangup');
	await ann.shows('Waiting for somebody');
	await bob.tab.close();
	const carl = await page(browser, 'Carl', room);
	await Promise.all([watches(ann), watches(carl)]);
	await carl.tab.close({ runBeforeUnload: false });
	await ann.shows('Waiting for somebody');
	const dora = await page(browser, 'Dora', room);
	await Promise.all([watches(ann), watches(dora)]);
}

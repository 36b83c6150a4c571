// A client that behaves as the web SDK of the RoomServer protocol does. It is a classic script: pages of tests load it, or have it
// evaluated in them.
'use strict';

// RoomServerClient has the traits of the SDK: it offers only when it is told of somebody new, drops its connection at each offer that
// it gets and makes the next with the configuration in it, knows candidates in its own spelling alone, finds a stream by its id, which
// is the uid, and knows nothing of other commands.
globalThis.RoomServerClient = class {
	constructor(address, uid, room = '22') {
		this.address = address;
		this.uid = uid;
		this.room = room;
		this.links = new Map();
		this.faults = [];
	}

	async join() {
		this.stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 180, frameRate: 15 } });
		this.ws = new WebSocket(this.address);
		await new Promise((resolve, reject) => { this.ws.onopen = resolve; this.ws.onerror = () => reject(new Error('no WebSocket')); });
		this.ws.onmessage = (e) => { this.turn = (this.turn ?? Promise.resolve()).then(() => this.take(JSON.parse(e.data))).catch((e) => this.faults.push(String(e))); };
		setInterval(() => this.send('keepLive', {}), 5000);
		const joined = new Promise((resolve) => { this.joined = resolve; });
		this.send('join', { token: 't', uname: this.uid, userType: 0, talkType: 1, osName: 'Linux', browser: 'chrome', sdkInfo: '1.0.0' });
		const m = await joined;
		if (m.result !== 0) throw new Error(JSON.stringify(m));
	}

	send(cmd, fields) {
		this.ws.send(JSON.stringify({ cmd, appId: '1', roomId: this.room, uid: this.uid, time: String(Math.floor(Date.now() / 1000)), ...fields }));
	}

	async take(m) {
		switch (m.cmd) {
		case 'respJoin':
			this.joined(m);
			break;
		case 'notifyNewPeer': {
			const link = this.connect(m.uid, m.rtcConfig);
			await link.pc.setLocalDescription(await link.pc.createOffer());
			this.describe('offer', m.uid, link.pc.localDescription);
			break;
		}
		case 'relayOffer': {
			const link = this.connect(m.uid, m.rtcConfig);
			await link.pc.setRemoteDescription(JSON.parse(m.msg));
			await link.pc.setLocalDescription(await link.pc.createAnswer());
			this.describe('answer', m.uid, link.pc.localDescription);
			break;
		}
		case 'relayAnswer':
			await this.links.get(m.uid).pc.setRemoteDescription(JSON.parse(m.msg));
			break;
		case 'relayCandidate': {
			const c = JSON.parse(m.msg);
			await this.links.get(m.uid)?.pc.addIceCandidate({ candidate: c.candidate, sdpMid: c.id, sdpMLineIndex: c.label });
			break;
		}
		case 'relayLeave':
			this.links.get(m.uid)?.pc.close();
			this.links.delete(m.uid);
			break;
		}
	}

	// Streams have the uid as their id for the others.
	describe(cmd, remoteUid, d) {
		this.send(cmd, { remoteUid, msg: JSON.stringify({ type: d.type, sdp: d.sdp.replaceAll(this.stream.id, this.uid) }) });
	}

	connect(uid, config) {
		this.links.get(uid)?.pc.close();
		const link = { pc: new RTCPeerConnection(config), streams: new Map() };
		for (const track of this.stream.getTracks()) link.pc.addTrack(track, this.stream);
		link.pc.onicecandidate = ({ candidate }) => {
			if (candidate?.candidate) this.send('candidate', { remoteUid: uid, msg: JSON.stringify({ label: candidate.sdpMLineIndex, id: candidate.sdpMid, candidate: candidate.candidate }) });
		};
		link.pc.ontrack = ({ streams: [stream] }) => {
			if (stream?.id !== uid) this.faults.push(`a stream of ${uid} has the id ${stream?.id}`);
			else link.streams.set(stream.id, stream);
		};
		link.pc.onconnectionstatechange = () => {
			if (link.pc.connectionState === 'connected') this.send('peerConnected', { remoteUid: uid, connectType: 'Unknown' });
		};
		this.links.set(uid, link);
		return link;
	}

	// seen is how much of somebody's media has been decoded over the connection that there is.
	async seen(uid) {
		const link = this.links.get(uid);
		const out = { frames: 0, samples: 0, energy: 0, sends: false };
		if (!link) return out;
		const stats = await link.pc.getStats();
		for (const s of stats.values()) {
			if (s.type === 'inbound-rtp' && s.kind === 'video') out.frames += s.framesDecoded ?? 0;
			if (s.type === 'inbound-rtp' && s.kind === 'audio') {
				out.samples += s.packetsReceived ?? 0;
				out.energy += s.totalAudioEnergy ?? 0;
			}
		}
		out.sends = link.pc.getTransceivers().some((t) => t.sender.track && /send/.test(t.currentDirection ?? ''));
		out.pc = link.pc;
		return out;
	}
};

// One connection to one of the others. To whom it leads, browser or bridge, it does not know.
import { Report, pathOf } from './report.js';

const kinds = ['audio', 'video'];
const broken = 4_000; // ms that a connection may be disconnected
const repair = 10_000; // ms between two attempts to mend it
const slow = 20_000; // ms after which a connection that is not there is reported

/** streamID is a uid as it stands in descriptions: media streams are found by it. */
export const streamID = (uid) => (/\s/.test(uid) ? encodeURIComponent(uid).replaceAll('%20', '+') : uid);

/**
 * Link makes a connection with the configuration that the server gave for it. What is to be said to the other goes to say(cmd,
 * fields), what has become of it to on.change(), and what fails to on.report(result, desc, data).
 */
export class Link {
	#turn = Promise.resolve(); // what is to be done is done in this order
	#timers = {};
	#report = new Report();

	/** peer is {uid, userType}; own is {uid, stream, outgoing(kind)}. */
	constructor(config, peer, own, say, on, Connection = RTCPeerConnection) {
		Object.assign(this, { peer, own, say, on, config });
		this.tracks = { audio: null, video: null };
		this.initiator = false;
		this.state = 'new';
		this.pc = new Connection(config ?? {});
		this.pc.onicecandidate = ({ candidate: c }) => {
			if (c?.candidate) this.say('candidate', { msg: JSON.stringify({ label: c.sdpMLineIndex, id: c.sdpMid, candidate: c.candidate }) });
		};
		this.pc.ontrack = ({ track }) => {
			this.tracks[track.kind] = track;
			this.on.change();
		};
		this.pc.onconnectionstatechange = () => this.#changed();
		this.#timers.slow = setTimeout(() => this.on.report(9, 'not connected within 20 s', withoutSecrets(config)), slow);
	}

	get closed() { return this.pc.signalingState === 'closed'; }

	/** offer begins. An observer sends nothing. */
	offer() {
		this.initiator = true;
		const direction = this.peer.userType === 1 ? 'sendonly' : 'sendrecv';
		for (const kind of kinds) this.pc.addTransceiver(this.own.outgoing(kind) ?? kind, { direction, streams: [this.own.stream] });
		this.#do(() => this.#describe('offer'));
	}

	/** answer answers an offer, and sends what the other takes. */
	answer(msg) {
		this.#do(async () => {
			await this.pc.setRemoteDescription(description(msg));
			for (const kind of kinds) {
				const t = this.pc.getTransceivers().find((x) => x.receiver.track.kind === kind);
				if (!t) continue;
				t.direction = 'sendrecv';
				t.sender.setStreams?.(this.own.stream);
				await t.sender.replaceTrack(this.own.outgoing(kind));
			}
			await this.#describe('answer');
		});
	}

	/** answered takes the other's answer. */
	answered(msg) {
		this.#do(async () => {
			if (this.pc.signalingState === 'have-local-offer') await this.pc.setRemoteDescription(description(msg));
		});
	}

	/** candidate takes one of the other's, in the SDK's spelling. */
	candidate(msg) {
		this.#do(async () => {
			const { candidate, id, label } = parsed(msg);
			if (!candidate || !this.pc.remoteDescription) return;
			await this.pc.addIceCandidate({ candidate, sdpMid: id, sdpMLineIndex: label }).catch(() => {}); // others may do
		});
	}

	/** sends has the other get what goes out now: tracks have come, or gone. */
	sends() {
		this.#do(async () => {
			for (const t of this.pc.getTransceivers()) {
				const track = this.own.outgoing(t.receiver.track.kind);
				if (t.sender.track !== track && t.direction !== 'recvonly' && t.direction !== 'stopped') await t.sender.replaceTrack(track);
			}
		});
	}

	/** mend restarts ICE (isIceReset). Who has offered does it; the other waits. */
	mend() {
		clearTimeout(this.#timers.mend);
		if (this.closed || this.state === 'connected') return;
		this.#timers.mend = setTimeout(() => this.mend(), repair);
		if (this.initiator || this.on.bridged()) this.#do(() => this.#describe('offer', { iceRestart: true }));
	}

	/** stats is a quality report, or undefined if there is nothing to say. */
	async stats() {
		return this.state === 'connected' && !this.closed ? this.#report.read(await this.pc.getStats()) : undefined;
	}

	close() {
		for (const t of Object.values(this.#timers)) clearTimeout(t);
		this.pc.onicecandidate = this.pc.ontrack = this.pc.onconnectionstatechange = null;
		this.pc.close();
	}

	async #describe(type, options) {
		await this.pc.setLocalDescription(type === 'offer' ? await this.pc.createOffer(options) : await this.pc.createAnswer());
		if (this.closed) return;
		const { sdp } = this.pc.localDescription;
		const fields = { msg: JSON.stringify({ type, sdp: sdp.replaceAll(this.own.stream.id, streamID(this.own.uid)) }) };
		if (options?.iceRestart) fields.isIceReset = true;
		this.say(type, fields);
	}

	#do(step) {
		this.#turn = this.#turn.then(() => (this.closed ? undefined : step())).catch((e) => {
			if (!this.closed) this.on.report(11, String(e.message ?? e), null);
		});
	}

	async #changed() {
		const { connectionState } = this.pc;
		const before = this.state;
		this.state = connectionState;
		if (connectionState === 'connected') {
			clearTimeout(this.#timers.slow);
			clearTimeout(this.#timers.mend);
			if (!this.told) {
				this.told = true;
				const connectType = pathOf(await this.pc.getStats());
				if (!this.closed) this.say('peerConnected', { connectType });
			}
		} else if (connectionState === 'failed') {
			this.mend();
		} else if (connectionState === 'disconnected' && before === 'connected') {
			clearTimeout(this.#timers.mend);
			this.#timers.mend = setTimeout(() => this.mend(), broken);
		}
		this.on.change();
	}
}

// parsed reads what a client says to another: JSON in a string, or an object.
const parsed = (msg) => (typeof msg === 'string' ? JSON.parse(msg) : msg ?? {});

const description = (msg) => {
	const { type, sdp } = parsed(msg);
	return { type, sdp };
};

// withoutSecrets is a configuration as it may be kept.
const withoutSecrets = (config) => ({ ...config, iceServers: (config?.iceServers ?? []).map(({ urls }) => ({ urls })) });

// The gate: how the media travel. Two people talk from browser to browser, more by way of the bridge, and so do two of whom one is
// not at a browser that can be called (a member's direct). The session with the bridge is there all the time; while it is not
// needed it carries nothing. Media are never cut before the other way works.

import { Bridge } from './bridge.js';
import { Call } from './call.js';
import { Channel } from './channel.js';

const backDelay = 5_000; // two are left: how long until they talk directly again (as Jitsi clients wait)
const firstDelay = 1_000; // two have met: how long the direct way may take before the bridge helps out
const overlap = 1_000; // how long the old way goes on when the new one works
const settling = 2_000; // how long the direct way has shown pictures, by one path, before it takes the place of a way that works
const standstill = 1_000; // without a picture, a way does not work
const steady = 8; // frames that the bridge has shown before it takes the place of the direct way
const switching = 6_000; // after which the old way ends although nothing was seen of the new one

/**
 * Gate lives as long as one is in the room. Events: "call" when the direct call has changed (with ended {id, by, reason} when
 * it has ended), "change" when tracks or the way are others, "speaker", "sending".
 */
export class Gate extends EventTarget {
	constructor({ room, ice, media, preferred, location }) {
		super();
		Object.assign(this, { room, ice, media });
		this.outgoing = (kind) => media.outgoing(kind);
		this.channels = new Map(); // of other members, by endpoint id
		this.call = undefined;
		this.direct = false; // the call carries the media
		this.crowd = false; // there were more than two since the last direct call
		this.bridge = new Bridge({ seat: room, ice, outgoing: this.outgoing, preferred, location, lists: () => [...room.members.values()].map((m) => m.codecs) });
		for (const type of ['speaker', 'sending']) this.bridge.addEventListener(type, () => this.#emit(type));
		this.bridge.addEventListener('state', () => this.#emit('change'));
		this.bridge.addEventListener('sources', () => this.#emit('change'));
		this.bridge.carrying = false;
	}

	/** members takes notice of who is in the room now. */
	members() {
		const { members, me } = this.room;
		if (this.call && !members.has(this.call.id)) this.#drop();
		clearTimeout(this.starting);
		if (members.size > 1) {
			this.crowd = true;
			if (this.call) this.#retire();
		} else if (members.size === 1) {
			const [peer] = members.values();
			const start = () => {
				if (!this.call && this.room.members.size === 1 && this.room.members.has(peer.id)) this.#start(this.channel(peer.id), me < peer.id);
			};
			if (this.call) this.#keep();
			else if (peer.direct) {
				if (this.crowd && this.bridge.state === 'connected') this.starting = setTimeout(start, backDelay);
				else start();
			}
		}
		this.#carry();
		this.bridge.send(); // the codec may be another one
		this.#emit('change');
	}

	/** gone forgets the session with a member who has left. */
	gone(id) {
		this.channels.get(id)?.lost();
		this.channels.delete(id);
	}

	/** channel is the session with one member. */
	channel(id) {
		let channel = this.channels.get(id);
		if (!channel) {
			channel = new Channel(this.room, id);
			this.channels.set(id, channel);
		}
		return channel;
	}

	#start(channel, initiator) {
		const call = new Call({ channel, initiator, ice: this.ice, outgoing: this.outgoing });
		this.call = call;
		this.began = Date.now();
		this.flow = { count: 0, at: 0, since: 0 };
		const on = (type, handler) => call.addEventListener(type, (e) => {
			if (this.call === call) handler(e);
		});
		on('state', (e) => {
			if (e.state === 'ended') {
				this.#drop();
				this.#emit('call', { ended: { id: call.id, by: e.by, reason: e.reason } });
				if (!this.room.members.has(call.id)) return;
				if (e.reason === 'replaced') this.#start(this.channel(call.id), false);
				else if (e.reason === 'success' && this.bridge.state === 'connected') { // for the sake of a third one, who has left again
					this.crowd = true;
					this.members();
				} else this.#carry(); // it may have ended before the bridge had to help out
				return;
			}
			this.#look();
			this.#emit('call');
		});
		on('path', () => this.#emit('call'));
		on('tracks', () => this.#emit('change'));
		this.looking = setInterval(() => this.#look(), 100);
		this.helping = setTimeout(() => this.#carry(), firstDelay);
		this.#emit('change');
		call.start();
	}

	// look decides, once at a time.
	async #look() {
		if (this.busy) return;
		this.busy = true;
		try {
			await this.#decide();
		} catch (error) {
			console.warn('gate:', error.message);
		} finally {
			this.busy = false;
		}
	}

	// decide chooses between call and bridge: as soon as the new way shows something.
	async #decide() {
		const { call } = this;
		if (!call) return;
		if (this.retiring) {
			const peer = this.room.members.get(call.id);
			if (this.bridge.state === 'none') { // there is no other way yet
				this.retiring = Date.now();
				return;
			}
			const late = call.state !== 'connected' || Date.now() - this.retiring > switching;
			if (this.direct && (late || await this.#bridgePlays(peer))) {
				if (this.call !== call || !this.retiring || !this.direct) return;
				this.#turn(false);
				// The initiator ends the call, some time after it has seen the other by way of the bridge; the responder
				// only if it waits in vain.
				this.ending = setTimeout(() => this.#drop(true), call.initiator ? overlap : switching);
			}
			if (this.call !== call || !this.retiring) return;
			if (!this.direct && !this.ending) this.#drop(true);
			return;
		}
		if (call.state === 'connected') {
			if (!this.direct && await this.#flows(call)) {
				if (this.call !== call || this.retiring || call.state !== 'connected') return;
				this.crowd = false;
				this.#turn(true);
			}
		} else if (this.direct) {
			this.#turn(false);
		}
	}

	// flows tells whether a call shows what its member sends. While the bridge does so, too, it must have done so for a while and
	// by one path: in its first seconds ICE goes from path to path, and what is sent on a new one may be lost.
	async #flows(call) {
		const { flow } = this;
		const count = await arrived(call, this.room.members.get(call.id));
		if (count === undefined) return true;
		if (count === flow.count) return false;
		const now = Date.now();
		if (now - flow.at > standstill) flow.since = now;
		Object.assign(flow, { count, at: now });
		return !this.bridge.carrying || now - Math.max(flow.since, call.pathSince) > settling;
	}

	async #bridgePlays(peer) {
		if (!peer) return true;
		const names = peer.sources.filter((s) => !s.muted && s.kind === 'video').map((s) => s.name);
		if (names.length === 0) return this.bridge.state === 'connected';
		for (const name of names) {
			const receiver = this.bridge.receiver(name);
			if (!receiver) return false;
			const frames = await framesOf(receiver);
			if (!this.seen.has(receiver)) this.seen.set(receiver, frames); // a slot may have shown somebody else before
			if (frames < this.seen.get(receiver) + steady) return false;
		}
		return true;
	}

	// turn makes the call or the bridge the way from which the media are played.
	#turn(direct) {
		if (this.direct === direct) return;
		this.direct = direct;
		this.#carry();
		this.#emit('change');
		this.#emit('call');
	}

	// carry lets the bridge carry the media as long as the call does not, and a moment longer.
	#carry() {
		clearTimeout(this.resting);
		const { size } = this.room.members;
		const rests = this.direct && !this.retiring && size === 1;
		const waits = size === 1 && this.call && !this.direct && !this.crowd && Date.now() - this.began < firstDelay;
		if (rests && this.bridge.carrying) this.resting = setTimeout(() => this.bridge.carry(false), overlap);
		else if (!rests && !waits) this.bridge.carry(size > 0);
	}

	#retire() {
		if (!this.retiring) {
			this.retiring = Date.now();
			this.seen = new Map();
		}
		this.#carry();
	}

	// keep goes on with a call that was about to end: the third one has gone again.
	#keep() {
		if (!this.retiring || this.ending) return;
		this.retiring = undefined;
	}

	#drop(close) {
		const { call } = this;
		clearInterval(this.looking);
		clearTimeout(this.ending);
		clearTimeout(this.helping);
		this.looking = this.ending = this.retiring = undefined;
		this.call = undefined;
		this.#turn(false);
		call?.close();
		if (close && this.room.members.size === 1) this.members(); // only two are left since
		this.#emit('change');
		this.#emit('call');
	}

	/** again tries what has failed once more. */
	again() {
		if (this.call) this.call.again();
		else this.members();
		this.bridge.retry();
	}

	/** take handles a jingle element of another occupant: a Refusal is thrown if its IQ is to be refused. */
	take(from, jingle) {
		if (from === 'focus') return this.bridge.take(jingle);
		if (!this.room.members.has(from)) throw { condition: 'item-not-found' };
		if (jingle.attrs.action === 'session-initiate') {
			if (this.room.members.size > 1 || (this.call && this.call.id !== from)) throw { condition: 'resource-constraint' };
			clearTimeout(this.starting);
			if (!this.call) this.#start(this.channel(from), false);
		}
		const channel = this.channels.get(from);
		if (!channel) throw { condition: 'item-not-found', jingle: 'unknown-session' };
		return channel.take(jingle);
	}

	/** refresh sends what media has now. */
	refresh() {
		this.call?.refresh();
		this.bridge.send();
	}

	/** track is what plays a video source of a member; undefined if nothing does. */
	track(source) {
		const { call } = this;
		if (this.direct && source.name.startsWith(`${call.id}-`)) return call.tracks[/-v0$/.test(source.name) ? 'video' : 'screen'];
		return this.bridge.track(source.name);
	}

	/** receiver is the browser's receiver of a source, for statistics. */
	receiver(source) {
		const track = this.track(source);
		return track && [this.call?.pc, this.bridge.pc].map((pc) => pc?.getReceivers().find((r) => r.track === track)).find(Boolean);
	}

	/** sounds are the tracks that are heard. */
	sounds() {
		const { audio } = this.direct ? this.call.tracks : {};
		return audio ? [audio] : this.bridge.sounds();
	}

	/** close ends it all. */
	close() {
		clearTimeout(this.starting);
		clearTimeout(this.resting);
		this.#drop();
		for (const channel of this.channels.values()) channel.end();
		this.channels.clear();
		this.bridge.close();
	}

	#emit(type, values = {}) {
		this.dispatchEvent(Object.assign(new Event(type), values));
	}
}

// framesOf is how many frames of video a receiver has decoded.
async function framesOf(receiver) {
	for (const s of (await receiver.getStats()).values()) if (s.type === 'inbound-rtp') return s.framesDecoded ?? 0;
	return 0;
}

// arrived is how many pictures of its member's camera a call has shown or, without one, how many packets of sound have
// come; undefined if nothing is to come.
async function arrived({ pc, tracks }, member) {
	if (!member?.audio && !member?.video) return undefined;
	const kind = member.video && tracks.video ? 'video' : 'audio';
	const receiver = pc.getReceivers().find((r) => r.track === tracks[kind]);
	if (!receiver) return 0;
	for (const s of (await receiver.getStats()).values()) {
		if (s.type === 'inbound-rtp') return (kind === 'video' ? s.framesDecoded : s.packetsReceived) ?? 0;
	}
	return 0;
}

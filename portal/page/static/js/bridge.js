// The session with the bridge (spec: the bridge session, sources, bridge channel). The focus offers, we accept; what the
// bridge sends comes in slots, and the channel says which source plays in which. Each change of the description is made
// here alone: to the focus there are only audio and video.

import { all, el, one } from './xml.js';
import { Malformed, NS, candidateLine } from './jingle.js';
import { Offer, accepted, own, restarted, screenSource, sourcesIn, withSimulcast } from './offer.js';
import { BridgeChannel, channelURL } from './colibri.js';
import { cameraLayers, screenLayers, setLayers, sharedCodec } from './layers.js';
import { Refusal } from './channel.js';
import { Pace } from './pace.js';

const NSFocus = 'http://jitsi.org/protocol/focus';
const graceful = 2_500; // how long a path may be disconnected before it is mended
const parting = 20_000; // how long somebody may go on to watch and hear us by way of the bridge when we have left it
const restarts = { apart: 5_500, most: 5, within: 61_000 }; // a little less than the focus grants (spec: restarts); who is refused stays without a session
const mendingTime = 10_000; // how long an ICE restart may take before the session is begun anew

/**
 * Bridge lives as long as one is in the room; sessions come and go in it. Events: "state" (none, connecting, connected,
 * mending), "sources" when a slot plays something else, "speaker", "sending" when what the bridge sends or wants has changed.
 */
export class Bridge extends EventTarget {
	/** seat is the room; outgoing(kind) the track of "audio", "video" or "screen"; lists() the codecs of each other member. */
	constructor({ seat, ice, outgoing, preferred, lists, location }) {
		super();
		Object.assign(this, { seat, ice, outgoing, preferred, lists, location });
		this.state = 'none';
		this.carrying = true; // false while the media go from browser to browser
		this.wishes = undefined; // the last ReceiverVideoConstraints
		this.restarts = new Pace(restarts); // of ICE and of sessions
		this.#forget();
	}

	#forget() {
		this.offer = undefined;
		this.pc = undefined;
		this.channel = undefined;
		this.playing = new Map(); // source to {mid, owner, videoType, kind}
		this.forwarded = new Set(); // video sources that the bridge sends us
		this.reduced = new Map(); // video sources to the height that our connection has room for; 0: they are paused
		this.troubles = new Map(); // endpoints to the part of their way at which media suffer
		this.estimate = undefined; // bit/s that the bridge takes our connection for
		this.wanted = new Map(); // our sources to the height that is wanted of them
		this.speaker = undefined;
		this.speakers = [];
		this.ssrcs = undefined;
		this.shared = false; // the focus knows of our screen
		this.work = Promise.resolve();
		clearTimeout(this.mending);
		clearTimeout(this.patience);
		clearTimeout(this.renewing);
		this.mending = this.patience = this.renewing = undefined;
	}

	/** take handles a jingle element of the focus; it throws a Refusal or Malformed if the IQ is to be refused. */
	take(jingle) {
		const { action, sid } = jingle.attrs;
		try {
			if (action === 'session-initiate') return this.#initiated(jingle);
			if (!this.offer || sid !== this.offer.sid) throw new Refusal('item-not-found', 'unknown-session');
			switch (action) {
				case 'source-add': return this.#sources(sourcesIn(jingle), []);
				case 'source-remove': return this.#sources([], sourcesIn(jingle));
				case 'transport-info': return this.#transport(jingle);
				case 'session-terminate': return this.close();
				case 'session-info': case 'description-info': return undefined;
				default: throw new Refusal('feature-not-implemented', 'unsupported-info');
			}
		} catch (error) {
			if (error instanceof Malformed) throw new Refusal('bad-request', undefined, error.message);
			throw error;
		}
	}

	#initiated(jingle) {
		const offer = new Offer(jingle);
		this.close();
		this.offer = offer;
		this.codec = sharedCodec(this.preferred, offer.codecs, this.lists());
		offer.prefer(this.codec);
		for (const source of sourcesIn(jingle)) this.#point(offer.slot(source).mid, source);
		this.#set('connecting');
		this.#chain(() => this.#accept(offer));
	}

	// What changes the connection happens one after the other.
	#chain(step) {
		const { offer } = this;
		this.work = this.work.then(() => (this.offer === offer && offer ? step() : undefined)).catch((error) => {
			if (this.offer !== offer) return;
			console.warn('bridge:', error);
			this.#anew();
		});
		return this.work;
	}

	async #accept(offer) {
		const config = await this.ice();
		if (this.offer !== offer) return;
		const pc = new RTCPeerConnection({ ...config, bundlePolicy: 'max-bundle' });
		this.pc = pc;
		pc.onconnectionstatechange = () => { if (this.pc === pc) this.#connection(); };
		const url = channelURL(offer.channel, this.location);
		if (url) this.#open(url);
		await this.#describe();
		if (this.offer !== offer) return;
		this.shared = Boolean(this.outgoing('screen'));
		const { contents, group } = accepted(pc.localDescription.sdp, this.seat.me, this.shared);
		await this.#jingle('session-accept', contents, group);
		await this.#send();
	}

	// describe brings browser and offer together.
	async #describe() {
		const { pc, offer } = this;
		await pc.setRemoteDescription({ type: 'offer', sdp: offer.sdp() });
		for (const mid of Object.keys(own)) {
			const transceiver = this.#transceiver(mid);
			if (!transceiver || transceiver.direction === 'sendonly') continue;
			transceiver.direction = 'sendonly';
			transceiver.sender.setStreams?.(new MediaStream());
		}
		const answer = await pc.createAnswer();
		const { sdp, ssrcs } = withSimulcast(answer.sdp, this.ssrcs);
		try {
			await pc.setLocalDescription({ type: 'answer', sdp });
			this.ssrcs = ssrcs;
		} catch {
			await pc.setLocalDescription(answer); // a browser that wants its description untouched sends one stream
		}
	}

	#transceiver(mid) {
		return this.pc?.getTransceivers().find((t) => t.mid === mid);
	}

	/** send puts the tracks on their lines, with the layers that are wanted; while somebody else carries the media, none. */
	send() {
		return this.#chain(() => this.#send());
	}

	async #send() {
		if (!this.pc?.localDescription) return;
		this.codec = sharedCodec(this.preferred, this.offer.codecs, this.lists());
		for (const [mid, [, source]] of Object.entries(own)) {
			const sender = this.#transceiver(mid)?.sender;
			if (!sender) continue;
			const track = this.outgoing(mid);
			const sent = this.carrying || this.#needed(mid, source) ? track : null;
			if (sender.track !== sent) await sender.replaceTrack(sent);
			if (mid === 'audio' || !track) continue;
			const height = smaller(track);
			const wanted = this.wanted.get(`${this.seat.me}-${source}`) ?? -1;
			const count = sender.getParameters().encodings.length;
			const layers = mid === 'screen' ? screenLayers({ height, wanted }) : cameraLayers({ codec: this.codec, height, wanted, count });
			const key = `${this.codec} ${JSON.stringify(layers)}`;
			if (this.#applied.get(sender) === key) continue;
			this.#applied.set(sender, key);
			await setLayers(sender, layers, this.codec);
		}
		const sharing = Boolean(this.outgoing('screen'));
		if (this.offer.media.video && sharing !== this.shared && this.pc.currentLocalDescription) {
			this.shared = sharing;
			await this.#jingle(sharing ? 'source-add' : 'source-remove', [screenSource(this.pc.localDescription.sdp, this.seat.me)]);
		}
		this.#emit('sending');
	}

	// needed tells that somebody may still watch or hear us by way of the bridge while we have left it. That nobody watches is
	// said by the bridge; that nobody hears is not.
	#needed(mid, source) {
		return Date.now() < this.restsFrom && (mid === 'audio' || this.wanted.get(`${this.seat.me}-${source}`) !== 0);
	}

	#applied = new WeakMap(); // sender to what it was told last

	/** carry says whether the bridge is to carry the media; it goes on being connected if not. */
	carry(on) {
		if (this.carrying === on) return;
		this.carrying = on;
		clearTimeout(this.resting);
		this.restsFrom = Date.now() + parting;
		if (!on) this.resting = setTimeout(() => this.send(), parting);
		this.send();
		this.wish(this.wishes);
	}

	/** wish tells the bridge what video we want: ReceiverVideoConstraints without the class. */
	wish(constraints) {
		this.wishes = constraints;
		if (!constraints) return;
		this.channel?.say('video', { colibriClass: 'ReceiverVideoConstraints', ...(this.carrying ? constraints : { ...constraints, lastN: 0 }) });
		this.channel?.say('audio', { colibriClass: 'ReceiverAudioSubscription', all: this.carrying });
	}

	/** track is what plays a source; undefined if nothing does. */
	track(source) {
		const slot = this.playing.get(source);
		return slot && this.#transceiver(slot.mid)?.receiver.track;
	}

	/** receiver is the browser's receiver of a source. */
	receiver(source) {
		const slot = this.playing.get(source);
		return slot && this.#transceiver(slot.mid)?.receiver;
	}

	/** sounds are the tracks of everybody's audio. */
	sounds() {
		return [...this.playing.values()].filter((s) => s.kind === 'audio').map((s) => this.#transceiver(s.mid)?.receiver.track).filter(Boolean);
	}

	#open(url) {
		const channel = new BridgeChannel(url);
		this.channel = channel;
		channel.addEventListener('message', ({ body }) => {
			if (this.channel !== channel) return;
			try {
				this.#message(body);
			} catch (error) {
				console.warn('bridge channel:', error.message);
			}
		});
		this.wish(this.wishes);
		channel.open();
	}

	#message(body) {
		switch (body.colibriClass) {
			case 'VideoSourcesMap':
				return this.#map('video', body.mappedSources);
			case 'AudioSourcesMap':
				return this.#map('audio', body.mappedSources);
			case 'ForwardedSources':
				this.forwarded = new Set(body.forwardedSources);
				return this.#emit('sending');
			case 'ConnectionStats':
				this.estimate = Number(body.estimatedDownlinkBandwidth) || undefined;
				this.troubles = new Map((body.troubles ?? []).slice(0, 200).map(({ endpoint, part }) => [endpoint, part]));
				this.reduced = new Map((body.reduced ?? []).slice(0, 200).map(({ source, maxHeight }) => [source, Number(maxHeight)]));
				return this.#emit('sending');
			case 'SenderSourceConstraints':
				this.wanted.set(body.sourceName, Number(body.maxHeight));
				this.send();
				return undefined;
			case 'DominantSpeakerEndpointChangeEvent':
				this.speaker = body.silence ? undefined : body.dominantSpeakerEndpoint;
				this.speakers = [body.dominantSpeakerEndpoint, ...(body.previousSpeakers ?? [])];
				return this.#emit('speaker');
			default:
				return undefined;
		}
	}

	#map(kind, mapped) {
		this.#sources(mapped.slice(0, 200).map((m) => ({ kind, mid: m.mid || undefined, ssrc: m.ssrc, rtx: m.rtx > 0 ? m.rtx : undefined, source: m.source, owner: m.owner, videoType: m.videoType?.toLowerCase() })), []);
	}

	#sources(added, removed) {
		for (const { source, owner } of added) {
			if (typeof source !== 'string' || !source.startsWith(`${owner}-`)) throw new Malformed('a source of somebody else');
		}
		let changed = false;
		for (const { source } of removed) {
			const slot = this.playing.get(source);
			this.playing.delete(source);
			if (slot && this.offer.close(slot.mid)) changed = true;
		}
		for (const source of added) {
			const slot = this.offer.slot(source);
			changed ||= slot.changed;
			this.#point(slot.mid, source);
		}
		if (changed) this.#chain(() => this.#renew());
		this.#emit('sources');
	}

	#point(mid, { source, owner, videoType, kind }) {
		for (const [name, slot] of this.playing) if (slot.mid === mid) this.playing.delete(name);
		this.playing.set(source, { mid, owner, videoType, kind });
		this.stale = true;
	}

	// renew takes new slots into the description; several that come at once are taken together.
	async #renew() {
		if (!this.stale) return;
		this.stale = false;
		await this.#describe();
		this.#emit('sources');
	}

	#transport(jingle) {
		for (const content of all(jingle, 'content')) {
			const transport = one(content, 'transport', NS.ice);
			const generation = transport?.attrs['ice-generation'];
			if (generation !== undefined) {
				this.offer.restart(transport);
				this.#chain(async () => {
					await this.#describe();
					await this.#jingle('transport-info', restarted(this.pc.localDescription.sdp, generation));
				});
				return;
			}
			for (const c of all(transport, 'candidate').slice(0, 64)) {
				const candidate = { candidate: candidateLine(c, transport.attrs.ufrag), sdpMid: 'audio', sdpMLineIndex: 0 };
				this.#chain(() => this.pc.addIceCandidate(candidate).catch(() => {}));
			}
		}
	}

	#connection() {
		switch (this.pc.connectionState) {
			case 'connected':
				clearTimeout(this.mending);
				clearTimeout(this.patience);
				clearTimeout(this.renewing);
				this.mending = this.patience = this.renewing = undefined;
				if (this.state === 'mending') this.channel?.again(); // what has cut the media may have cut it, too
				return this.#set('connected');
			case 'disconnected':
				this.#set('mending');
				this.mending ??= setTimeout(() => this.#mend(), graceful);
				return undefined;
			case 'failed':
				this.#set('mending');
				return this.#mend();
			default:
				return undefined;
		}
	}

	// mend asks for an ICE restart and, where that cannot be, for another session.
	async #mend() {
		clearTimeout(this.mending);
		this.mending = undefined;
		if (!this.offer || this.patience || this.renewing || this.pc.connectionState === 'connected') return;
		const wait = this.restarts.wait();
		if (wait > 0) {
			this.mending = setTimeout(() => this.#mend(), wait);
			return;
		}
		this.restarts.ask();
		const { offer } = this;
		this.patience = setTimeout(() => {
			if (this.offer === offer) this.#anew();
		}, mendingTime);
		try {
			await this.#jingle('session-info', [], undefined, el('bridge-session', { xmlns: NSFocus, id: offer.bridge, 'ice-restart': 'true' }));
		} catch {
			if (this.offer === offer) this.#anew();
		}
	}

	// anew ends the session and asks for another, as soon as that is granted.
	#anew() {
		const { offer } = this;
		if (!offer || this.renewing) return;
		this.renewing = setTimeout(() => {
			this.renewing = undefined;
			if (this.offer !== offer) return;
			this.restarts.ask();
			this.#jingle('session-terminate', [], undefined, el('reason', {}, el('connectivity-error')),
				el('bridge-session', { xmlns: NSFocus, id: offer.bridge, restart: 'true' })).catch(() => {});
			this.close();
		}, this.restarts.wait());
	}

	/** retry begins anew after a failure. */
	retry() {
		if (this.state === 'mending') this.#anew();
	}

	#jingle(action, contents, group, ...more) {
		const focus = this.seat.peer('focus');
		return this.seat.iq(focus, el('jingle', { xmlns: NS.jingle, action, sid: this.offer.sid, initiator: focus, responder: this.seat.address }, contents, group, more));
	}

	/** close lets go of the session; the focus may offer another. */
	close() {
		const { pc, channel } = this;
		this.#forget();
		channel?.close();
		if (pc) {
			pc.onconnectionstatechange = null;
			pc.close();
		}
		this.#set('none');
		this.#emit('sources');
		this.#emit('speaker');
	}

	#set(state) {
		if (this.state === state) return;
		this.state = state;
		this.#emit('state');
	}

	#emit(type) {
		this.dispatchEvent(new Event(type));
	}
}

// smaller is the smaller side of a track's pictures: the height of a layer, however the camera is held.
function smaller(track) {
	const { width = 1280, height = 720 } = track.getSettings?.() ?? {};
	return Math.min(width, height);
}

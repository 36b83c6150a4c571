// The focus's offer as a description for the browser (spec: the bridge session). The page has three m-lines of its own,
// "audio", "video" and "screen", on which it sends, and one more for each slot in which the bridge sends something to it.
// None of this is known to the focus: to it a session has the contents audio and video, with sources in them.

import { all, el, one, text } from './xml.js';
import { Malformed, NS, Remote, fromSDP } from './jingle.js';
import { attr, attrs, parseSDP } from './sdp.js';

const NSFocus = 'http://jitsi.org/protocol/focus';
const NSColibri = 'http://jitsi.org/protocol/colibri';
const NSMeet = 'http://jitsi.org/jitmeet';

/** own are the mids of the m-lines on which we send, with the kind of each and the source that is named after it. */
export const own = { audio: ['audio', 'a0'], video: ['video', 'v0'], screen: ['video', 'v1'] };

const mostSlots = 200; // the bridge has 50 of each kind
const simulcast = 3; // streams of a camera

/** Offer is what the bridge offers: who it is, how it is reached, what it can take, and its slots. */
export class Offer {
	/** codec is the video codec that we would like to send: it comes first in the description. */
	constructor(jingle, codec) {
		const { sid } = jingle.attrs;
		if (!/^[\x21-\x7e]{1,128}$/.test(sid ?? '')) throw new Malformed('a session without id');
		this.sid = sid;
		this.bridge = one(jingle, 'bridge-session', NSFocus)?.attrs.id;
		this.remote = new Remote('initiator');
		this.media = {}; // kind to description without sources
		this.slots = new Map(); // mid to {kind, ssrc, rtx}
		for (const content of all(jingle, 'content')) {
			const description = one(content, 'description', NS.rtp);
			const kind = description?.attrs.media;
			this.transport ??= one(content, 'transport', NS.ice);
			if (kind === 'audio' || kind === 'video') this.media[kind] = bare(description);
		}
		if (!this.transport || !this.media.audio) throw new Malformed('an offer without audio or without transport');
		this.channel = one(this.transport, 'web-socket', NSColibri)?.attrs.url;
		this.prefer(codec);
		for (const [mid, [kind]] of Object.entries(own)) {
			if (this.media[kind]) this.#section(mid, 'responder', this.media[kind]);
		}
		for (const source of sourcesIn(jingle)) this.slot(source);
		this.sdp(); // a value that is no part of a description is found now, not later
	}

	/** prefer puts a codec before all others, if it was offered. */
	prefer(codec) {
		const { video } = this.media;
		const index = video?.kids.findIndex((k) => k.name === 'payload-type' && k.attrs.name?.toLowerCase() === codec) ?? -1;
		if (index > 0) video.kids.unshift(...video.kids.splice(index, 1));
	}

	/** codecs are the names of the video codecs of the offer, in lower case. */
	get codecs() {
		return all(this.media.video, 'payload-type').map((p) => p.attrs.name?.toLowerCase()).filter((n) => n && n !== 'rtx');
	}

	#section(mid, senders, description) {
		this.remote.contents.set(mid, { senders, description, transport: this.transport });
	}

	/** restart takes the transport of another ICE generation. */
	restart(transport) {
		const fingerprint = one(transport, 'fingerprint', NS.dtls) ?? one(this.transport, 'fingerprint', NS.dtls);
		this.transport = { ...transport, kids: [...transport.kids.filter((k) => k.name !== 'fingerprint'), fingerprint] };
		for (const content of this.remote.contents.values()) content.transport = this.transport;
	}

	/** slot makes sure that there is an m-line for a slot and returns its mid and whether the description has changed. */
	slot({ kind, mid, ssrc, rtx }) {
		const name = mid ?? `s${ssrc}`;
		if (!/^[A-Za-z0-9]{1,16}$/.test(name) || Object.hasOwn(own, name) || !this.media[kind]) throw new Malformed(`"${name}" is no slot`);
		const ssrcs = rtx === undefined ? [ssrc] : [ssrc, rtx];
		if (!ssrcs.every((n) => Number.isInteger(n) && n > 0 && n < 2 ** 32)) throw new Malformed('a slot without SSRC');
		const known = this.slots.get(name);
		if (known && known.kind !== kind) throw new Malformed('a slot of another kind than before');
		if (known && known.ssrc === ssrc && known.rtx === rtx && !known.closed) return { mid: name, changed: false };
		if (!known && this.slots.size >= mostSlots) throw new Malformed('too many slots');
		const sources = ssrcs.map((n) => el('source', { xmlns: NS.source, ssrc: n }, el('parameter', { name: 'msid', value: `${name} ${name}` })));
		const pair = ssrcs.length === 2 && el('ssrc-group', { xmlns: NS.source, semantics: 'FID' }, ssrcs.map((n) => el('source', { ssrc: n })));
		const description = this.media[kind];
		this.#section(name, 'initiator', { ...description, kids: [...description.kids, ...sources, ...(pair ? [pair] : [])] });
		this.slots.set(name, { kind, ssrc, rtx });
		return { mid: name, changed: true };
	}

	/** close ends a slot: its m-line stays, without a direction. */
	close(mid) {
		const slot = this.slots.get(mid);
		if (!slot || slot.closed) return false;
		slot.closed = true;
		this.#section(mid, 'none', this.media[slot.kind]);
		return true;
	}

	/** sdp writes it all. */
	sdp() {
		return this.remote.sdp('offer');
	}
}

const bare = (description) => ({ ...description, kids: description.kids.filter((k) => k.name !== 'source' && k.name !== 'ssrc-group') });

/**
 * sourcesIn lists what a focus says that others send, as {kind, ssrc, rtx, source, owner, videoType}: as elements in the
 * contents, or as compact JSON. The bridge's own sources carry nothing and are left out.
 */
export function sourcesIn(jingle) {
	const found = [];
	for (const content of all(jingle, 'content')) {
		const description = one(content, 'description', NS.rtp);
		const kind = description?.attrs.media ?? content.attrs.name;
		const list = all(description, 'source', NS.source).map((s) => ({
			ssrc: Number(s.attrs.ssrc), name: s.attrs.name, desktop: s.attrs.videoType === 'desktop',
			owner: one(s, 'ssrc-info', NSMeet)?.attrs.owner?.split('/').at(-1),
		}));
		const pairs = all(description, 'ssrc-group', NS.source).filter((g) => g.attrs.semantics === 'FID').map((g) => all(g, 'source').map((s) => Number(s.attrs.ssrc)));
		found.push(...joined(kind, list, pairs));
	}
	const json = one(jingle, 'json-message', NSMeet);
	if (json) {
		let owners;
		try {
			owners = Object.entries(JSON.parse(text(json)).sources);
		} catch {
			throw new Malformed('sources that are no JSON');
		}
		for (const [owner, lists] of owners) {
			const [video = [], groups = [], audio = []] = Array.isArray(lists) ? lists : [];
			const read = (list) => list.map((s) => ({ ssrc: s.s, name: s.n, desktop: s.v === 'd', owner }));
			const pairs = groups.filter((g) => g[0] === 'f').map((g) => g.slice(1));
			found.push(...joined('video', read(video), pairs), ...joined('audio', read(audio), []));
		}
	}
	return found.filter((s) => s.owner !== 'jvb');
}

// joined puts each retransmission to what it repeats.
function joined(kind, list, pairs) {
	const repeats = new Map(pairs.map(([ssrc, rtx]) => [ssrc, rtx]));
	const repeating = new Set(repeats.values());
	return list.filter((s) => !repeating.has(s.ssrc) && typeof s.name === 'string').map((s) => ({
		kind, ssrc: s.ssrc, rtx: repeats.get(s.ssrc), source: s.name, owner: s.owner ?? s.name.replace(/-[av]\d+.*$/, ''), videoType: s.desktop ? 'desktop' : 'camera',
	}));
}

/**
 * withSimulcast adds to the description of an answer the SSRCs of the camera's further streams, as clients of this dialect
 * signal them: groups SIM (low to high) and FID. known are the SSRCs of the time before; it returns {sdp, ssrcs}.
 */
export function withSimulcast(sdp, known, random = randomSSRC) {
	const newline = /\r\n/.test(sdp) ? '\r\n' : '\n';
	const lines = sdp.split(newline);
	const start = lines.findIndex((l, i) => l.startsWith('m=') && midOf(lines, i) === 'video');
	if (start < 0) return { sdp, ssrcs: known };
	let end = lines.findIndex((l, i) => i > start && l.startsWith('m='));
	if (end < 0) end = lines.length;
	const section = lines.slice(start, end);
	const [pair] = attrs(section, 'ssrc-group').map((g) => g.split(' ')).filter(([semantics]) => semantics === 'FID');
	if (!pair || attrs(section, 'ssrc-group').some((g) => g.startsWith('SIM '))) return { sdp, ssrcs: known };
	const [, first, repeat] = pair;
	const told = (ssrc) => section.filter((l) => l.startsWith(`a=ssrc:${ssrc} `)).map((l) => l.slice(`a=ssrc:${ssrc} `.length));
	const ssrcs = known?.[0] === first ? known : [first, repeat, ...Array.from({ length: 2 * (simulcast - 1) }, () => String(random()))];
	const more = [`a=ssrc-group:SIM ${ssrcs.filter((_, i) => i % 2 === 0).join(' ')}`];
	for (let i = 2; i < ssrcs.length; i += 2) {
		more.push(`a=ssrc-group:FID ${ssrcs[i]} ${ssrcs[i + 1]}`);
		for (const ssrc of [ssrcs[i], ssrcs[i + 1]]) more.push(...told(first).map((value) => `a=ssrc:${ssrc} ${value}`));
	}
	let last = end - 1;
	while (lines[last] === '') last--;
	lines.splice(last + 1, 0, ...more);
	return { sdp: lines.join(newline), ssrcs };
}

function midOf(lines, start) {
	for (let i = start + 1; i < lines.length && !lines[i].startsWith('m='); i++) if (lines[i].startsWith('a=mid:')) return lines[i].slice(6);
	return undefined;
}

const randomSSRC = () => crypto.getRandomValues(new Uint32Array(1))[0] || 1;

/** accepted makes of our answer the contents of session-accept: audio and video, with the sources that we send now. */
export function accepted(sdp, endpoint, sharing) {
	const { contents } = fromSDP(sdp, 'responder', endpoint);
	const of = (mid) => contents.find((c) => c.attrs.name === mid);
	const kept = [of('audio'), of('video')].filter((c) => c && c.attrs.senders !== 'rejected');
	for (const content of kept) content.attrs.senders = 'both';
	if (sharing) {
		const video = one(of('video'), 'description', NS.rtp);
		video?.kids.push(...one(screenSource(sdp, endpoint), 'description', NS.rtp).kids);
	}
	return { contents: kept, group: el('group', { xmlns: NS.group, semantics: 'BUNDLE' }, kept.map((c) => el('content', { name: c.attrs.name }))) };
}

/** screenSource is the content of source-add and source-remove for our screen. */
export function screenSource(sdp, endpoint) {
	const { contents } = fromSDP(sdp, 'responder', endpoint);
	const screen = contents.find((c) => c.attrs.name === 'screen');
	const kids = one(screen, 'description', NS.rtp).kids.filter((k) => k.name === 'source' || k.name === 'ssrc-group');
	for (const k of kids) if (k.name === 'source') Object.assign(k.attrs, { name: `${endpoint}-v1`, videoType: 'desktop' });
	return el('content', { creator: 'initiator', name: 'video', senders: 'both' }, el('description', { xmlns: NS.rtp, media: 'video' }, kids));
}

/** restarted are the contents that answer another ICE generation. */
export function restarted(sdp, generation) {
	const { lines, media } = parseSDP(sdp);
	const get = (key) => attr(media[0].lines, key) ?? attr(lines, key);
	return ['audio', 'video'].map((name) => el('content', { creator: 'initiator', name, senders: 'both' },
		el('transport', { xmlns: NS.ice, ufrag: get('ice-ufrag'), pwd: get('ice-pwd'), 'ice-generation': generation })));
}

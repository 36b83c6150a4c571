// Jingle contents from session descriptions and back: XEP-0166, 0167 (RTP), 0176 (ICE-UDP), 0293 (feedback), 0294 (header
// extensions), 0320 (DTLS), 0338 (groups), 0339 (sources), and data channels as Jitsi writes them. One content for each
// m-line, named by its mid. What comes from the wire is checked here before it can become a line of a description.

import { all, el, one, serialize, text } from './xml.js';
import { attr, attrs, parseSDP, ufragOf } from './sdp.js';

export const NS = {
	jingle: 'urn:xmpp:jingle:1',
	errors: 'urn:xmpp:jingle:errors:1',
	rtp: 'urn:xmpp:jingle:apps:rtp:1',
	feedback: 'urn:xmpp:jingle:apps:rtp:rtcp-fb:0',
	extension: 'urn:xmpp:jingle:apps:rtp:rtp-hdrext:0',
	source: 'urn:xmpp:jingle:apps:rtp:ssma:0',
	ice: 'urn:xmpp:jingle:transports:ice-udp:1',
	complete: 'urn:xmpp:jingle:transports:ice:0',
	dtls: 'urn:xmpp:jingle:apps:dtls:0',
	sctp: 'urn:xmpp:jingle:transports:dtls-sctp:1',
	group: 'urn:xmpp:jingle:apps:grouping:0',
};

/** Malformed is what a stanza is refused with when it cannot be a description. */
export class Malformed extends Error {}

// What one session may hold. A call of two has two or three contents.
const limits = { contents: 32, payloads: 128, parameters: 32, extensions: 64, sources: 64, candidates: 64, value: 512 };

const directions = new Map([['initiator', '/sendonly'], ['responder', '/recvonly']]); // of a header extension, RFC 8285 §6

const senders = {
	initiator: { sendrecv: 'both', sendonly: 'initiator', recvonly: 'responder', inactive: 'none' },
	responder: { sendrecv: 'both', sendonly: 'responder', recvonly: 'initiator', inactive: 'none' },
};

/**
 * fromSDP returns the contents of a local description as Jingle, {contents, group, extmapMixed}. role is the writer's,
 * "initiator" or "responder"; endpoint is the writer's endpoint id, after which its sources are named; videoType says
 * what the first video is, "camera" or "desktop"; a second one is a screen.
 */
export function fromSDP(sdp, role, endpoint, videoType = 'camera') {
	const { lines, media } = parseSDP(sdp);
	const count = {};
	const contents = media.map((m, i) => {
		const index = (count[m.kind] = (count[m.kind] ?? -1) + 1);
		return contentOf(m, lines, {
			name: attr(m.lines, 'mid') ?? String(i),
			role,
			source: `${endpoint}-${m.kind === 'audio' ? 'a' : 'v'}${index}`,
			videoType: m.kind !== 'video' ? undefined : index === 0 ? videoType : 'desktop',
		});
	});
	const bundle = attrs(lines, 'group').map((g) => g.split(' ')).find(([semantics]) => semantics === 'BUNDLE');
	const group = bundle && el('group', { xmlns: NS.group, semantics: 'BUNDLE' }, bundle.slice(1).map((name) => el('content', { name })));
	return { contents, group };
}

function contentOf(m, session, { name, role, source, videoType }) {
	const rejected = m.port === 0 && attr(m.lines, 'bundle-only') === undefined;
	const direction = ['sendrecv', 'sendonly', 'recvonly', 'inactive'].find((d) => attr(m.lines, d) !== undefined) ?? 'sendrecv';
	const data = m.kind === 'application';
	const description = data ? el('description', { xmlns: NS.rtp, media: 'application' }) : descriptionOf(m, session, source, videoType);
	return el('content', { creator: 'initiator', name, senders: rejected ? 'rejected' : data ? 'both' : senders[role][direction] }, description, transportOf(m, session, data));
}

function descriptionOf(m, session, source, videoType) {
	const mixed = attr(session, 'extmap-allow-mixed') ?? attr(m.lines, 'extmap-allow-mixed');
	return el('description', { xmlns: NS.rtp, media: m.kind, maxptime: attr(m.lines, 'maxptime') },
		payloadsOf(m.lines, m.formats),
		feedbackOf(m.lines, '*'),
		attrs(m.lines, 'extmap').map((value) => {
			const [id, uri] = value.split(' ');
			const [number, direction] = id.split('/');
			const side = { sendonly: 'initiator', recvonly: 'responder' }[direction];
			return el('rtp-hdrext', { xmlns: NS.extension, id: number, uri, senders: side });
		}),
		mixed !== undefined && el('extmap-allow-mixed', { xmlns: NS.extension }),
		sourcesOf(m.lines, source, videoType),
		attr(m.lines, 'rtcp-mux') !== undefined && el('rtcp-mux'));
}

function payloadsOf(lines, formats) {
	const maps = new Map(attrs(lines, 'rtpmap').map((v) => [v.split(' ')[0], v.slice(v.indexOf(' ') + 1).split('/')]));
	const parameters = new Map(attrs(lines, 'fmtp').map((v) => [v.split(' ')[0], v.slice(v.indexOf(' ') + 1)]));
	return formats.filter((id) => maps.has(id)).map((id) => {
		const [name, clockrate, channels] = maps.get(id);
		return el('payload-type', { id, name, clockrate, channels },
			(parameters.get(id)?.split(';') ?? []).map((p) => p.trim()).filter(Boolean).map((p) => {
				const at = p.indexOf('=');
				return at < 0 ? el('parameter', { value: p }) : el('parameter', { name: p.slice(0, at), value: p.slice(at + 1) });
			}),
			feedbackOf(lines, id));
	});
}

function feedbackOf(lines, id) {
	return attrs(lines, 'rtcp-fb').filter((v) => v.split(' ')[0] === id).map((v) => {
		const [, type, ...rest] = v.split(' ');
		return el('rtcp-fb', { xmlns: NS.feedback, type, subtype: rest.length ? rest.join(' ') : undefined });
	});
}

function sourcesOf(lines, name, videoType) {
	const ssrcs = new Map();
	for (const value of attrs(lines, 'ssrc')) {
		const [, ssrc, key, , rest] = /^(\d+) ([^:]+)(:(.*))?$/.exec(value) ?? [];
		if (!ssrc) continue;
		if (!ssrcs.has(ssrc)) ssrcs.set(ssrc, new Map());
		ssrcs.get(ssrc).set(key, rest ?? '');
	}
	const msid = attr(lines, 'msid');
	return [
		[...ssrcs].map(([ssrc, values]) => {
			const label = values.get('msid') ?? msid;
			return el('source', { xmlns: NS.source, ssrc, name, videoType },
				values.has('cname') && el('parameter', { name: 'cname', value: values.get('cname') }),
				label !== undefined && el('parameter', { name: 'msid', value: label }));
		}),
		attrs(lines, 'ssrc-group').map((v) => {
			const [semantics, ...members] = v.split(' ');
			return el('ssrc-group', { xmlns: NS.source, semantics }, members.map((ssrc) => el('source', { ssrc })));
		}),
	];
}

function transportOf(m, session, data) {
	const [hash, digest] = (attr(m.lines, 'fingerprint') ?? attr(session, 'fingerprint') ?? '').split(' ');
	const port = attr(m.lines, 'sctp-port');
	return el('transport', { xmlns: NS.ice, ufrag: attr(m.lines, 'ice-ufrag') ?? attr(session, 'ice-ufrag'), pwd: attr(m.lines, 'ice-pwd') ?? attr(session, 'ice-pwd') },
		digest && el('fingerprint', { xmlns: NS.dtls, hash, setup: attr(m.lines, 'setup') ?? attr(session, 'setup'), required: 'true' }, digest),
		data && port && el('sctpmap', { xmlns: NS.sctp, number: port, protocol: 'webrtc-datachannel', streams: '1024' }),
		!data && attr(m.lines, 'rtcp-mux') !== undefined && el('rtcp-mux'),
		attrs(m.lines, 'candidate').map((c) => candidateElement('candidate:' + c)).filter(Boolean),
		attr(m.lines, 'end-of-candidates') !== undefined && el('gathering-complete', { xmlns: NS.complete }));
}

/** candidateElement turns a candidate line into XEP-0176's element; undefined if it is none. */
export function candidateElement(line) {
	const [foundation, component, protocol, priority, ip, port, typ, type, ...rest] = String(line).replace(/^(a=)?candidate:/, '').trim().split(/ +/);
	if (typ !== 'typ') return undefined;
	const more = {};
	for (let i = 0; i + 1 < rest.length; i += 2) more[rest[i]] = rest[i + 1];
	return el('candidate', {
		component, foundation, generation: more.generation ?? 0, id: candidateId(), ip, network: more['network-id'] ?? 0, port, priority,
		protocol: protocol.toLowerCase(), type, 'rel-addr': more.raddr, 'rel-port': more.rport, tcptype: more.tcptype,
	});
}

let candidates = 0;
const candidateId = () => `c${++candidates}`;

/** candidateLine turns XEP-0176's element into a candidate line, ufrag being the transport's. */
export function candidateLine(c, ufrag) {
	const a = c.attrs;
	const words = [`candidate:${token(a.foundation)}`, number(a.component, 256), token(a.protocol), number(a.priority, 2 ** 32), token(a.ip), number(a.port, 65536), 'typ', token(a.type)];
	if (a['rel-addr'] !== undefined) words.push('raddr', token(a['rel-addr']), 'rport', number(a['rel-port'] ?? '0', 65536));
	if (a.tcptype !== undefined) words.push('tcptype', token(a.tcptype));
	words.push('generation', number(a.generation ?? '0', 2 ** 32));
	if (ufrag) words.push('ufrag', token(ufrag));
	return words.join(' ');
}

/**
 * Remote is what is known of the other side's description. Each action that names contents changes it; sdp writes the
 * whole as an offer or an answer.
 */
export class Remote {
	/** role is the other side's, "initiator" or "responder". */
	constructor(role) {
		this.role = role;
		this.contents = new Map(); // name to {senders, description, transport}
		this.bundle = [];
		this.version = 1;
	}

	/** merge takes over the contents of a jingle element: new ones are added, parts of known ones replaced. */
	merge(jingle) {
		const found = all(jingle, 'content');
		if (found.length === 0) throw new Malformed('no content');
		for (const content of found) {
			const name = token(content.attrs.name);
			const known = this.contents.get(name) ?? {};
			this.contents.set(name, {
				senders: content.attrs.senders ?? known.senders ?? 'both',
				description: one(content, 'description', NS.rtp) ?? known.description,
				transport: one(content, 'transport', NS.ice) ?? known.transport,
			});
		}
		if (this.contents.size > limits.contents) throw new Malformed('too many contents');
		const group = all(jingle, 'group', NS.group).find((g) => g.attrs.semantics === 'BUNDLE');
		if (group) this.bundle = all(group, 'content').map((c) => token(c.attrs.name));
	}

	/** clone is a copy that can be merged into and thrown away. */
	clone() {
		const copy = new Remote(this.role);
		copy.contents = new Map(this.contents);
		copy.bundle = this.bundle;
		copy.version = this.version;
		copy.setup = this.setup;
		return copy;
	}

	/** reserve adds an m-line on which only the other side of this one, of a role, sends. setup is that of its own description. */
	reserve(name, role, setup) {
		const known = this.contents.get(name);
		const first = this.#first('video');
		if (!first) throw new Malformed('a session without video');
		if (known) this.contents.set(name, { ...known, senders: 'both' });
		else this.contents.set(name, { senders: role, description: withSources(first.description, []), transport: first.transport });
		this.#bundled(name);
		this.setup = { active: 'passive', passive: 'active' }[setup] ?? this.setup;
	}

	#bundled(name) {
		if (this.bundle.length && !this.bundle.includes(name)) this.bundle = [...this.bundle, name];
	}

	#first(kind) {
		return [...this.contents.values()].find((c) => c.description?.attrs.media === kind);
	}

	/** addSources puts the sources of a source-add on m-lines of their kind on which nothing came so far, or on new ones. */
	addSources(jingle) {
		for (const { kind, sources } of sourcesByName(jingle)) {
			const free = [...this.contents].find(([, c]) => c.description?.attrs.media === kind && all(c.description, 'source', NS.source).length === 0);
			const like = free?.[1] ?? this.#first(kind);
			if (!like) throw new Malformed(`a session without ${kind}`);
			const name = free?.[0] ?? String(this.contents.size);
			if (!free && this.contents.has(name)) throw new Malformed('no name for another content');
			const both = free && (like.senders === 'both' || like.senders === other(this.role));
			this.contents.set(name, { senders: both ? 'both' : this.role, description: withSources(like.description, sources), transport: like.transport });
			this.#bundled(name);
		}
		if (this.contents.size > limits.contents) throw new Malformed('too many contents');
	}

	/** removeSources takes away sources that have gone. */
	removeSources(jingle) {
		for (const { sources } of sourcesByName(jingle)) {
			const gone = new Set(sources.map((s) => s.attrs.ssrc));
			for (const [name, c] of this.contents) {
				if (!all(c.description, 'source', NS.source).some((s) => gone.has(s.attrs.ssrc))) continue;
				this.contents.set(name, { ...c, senders: c.senders === 'both' ? other(this.role) : 'none', description: withSources(c.description, []) });
			}
		}
	}

	/** ufrag is the first content's. */
	get ufrag() {
		return [...this.contents.values()][0]?.transport?.attrs.ufrag;
	}

	/** index is the place of a content among the m-lines, -1 if it is unknown. */
	index(name) {
		return [...this.contents.keys()].indexOf(name);
	}

	/** sdp writes the description, of which type says whether it is an offer or an answer. */
	sdp(type) {
		const names = [...this.contents.keys()];
		const bundle = (this.bundle.length ? this.bundle : names).filter((n) => this.contents.has(n) && this.contents.get(n).senders !== 'rejected');
		const out = ['v=0', `o=- 1 ${this.version++} IN IP4 127.0.0.1`, 's=-', 't=0 0'];
		if (bundle.length) out.push(`a=group:BUNDLE ${bundle.join(' ')}`);
		if ([...this.contents.values()].some((c) => one(c.description, 'extmap-allow-mixed', NS.extension))) out.push('a=extmap-allow-mixed');
		out.push('a=msid-semantic: WMS *');
		for (const [name, content] of this.contents) out.push(...this.#section(name, content, type));
		return out.join('\r\n') + '\r\n';
	}

	#section(name, { senders: who, description, transport }, type) {
		if (!description || !transport) throw new Malformed('a content without description or transport');
		const kind = choice(description.attrs.media, ['audio', 'video', 'application']);
		const port = who === 'rejected' ? 0 : 9;
		const out = kind === 'application' ? dataLines(port, transport) : mediaLines(kind, port, description);
		out.splice(1, 0, 'c=IN IP4 0.0.0.0', `a=mid:${name}`);
		if (kind !== 'application') out.push(`a=${this.#direction(who)}`);
		if (transport.attrs.ufrag === undefined && port !== 0) throw new Malformed('a transport without ufrag');
		if (transport.attrs.ufrag !== undefined) out.push(`a=ice-ufrag:${token(transport.attrs.ufrag)}`, `a=ice-pwd:${token(transport.attrs.pwd)}`);
		out.push('a=ice-options:trickle');
		const fingerprint = one(transport, 'fingerprint', NS.dtls);
		if (fingerprint) {
			const setup = choice(fingerprint.attrs.setup ?? 'actpass', ['actpass', 'active', 'passive']);
			out.push(`a=fingerprint:${token(fingerprint.attrs.hash)} ${token(text(fingerprint).trim())}`);
			out.push(`a=setup:${type === 'offer' ? 'actpass' : setup === 'actpass' ? this.setup ?? 'active' : setup}`);
		}
		for (const c of bounded(all(transport, 'candidate'), limits.candidates)) out.push('a=' + candidateLine(c));
		if (one(transport, 'gathering-complete')) out.push('a=end-of-candidates');
		return out;
	}

	#direction(who) {
		const found = Object.entries(senders[this.role]).find(([, value]) => value === who);
		return found ? found[0] : 'inactive';
	}
}

const other = (role) => (role === 'initiator' ? 'responder' : 'initiator');

const isSource = (k) => k.name === 'source' || k.name === 'ssrc-group';

const withSources = (description, sources) => ({ ...description, kids: [...description.kids.filter((k) => !isSource(k)), ...sources] });

// sourcesByName parts what a source-add or source-remove names: the elements of each source, with its groups.
function sourcesByName(jingle) {
	const found = new Map();
	for (const content of all(jingle, 'content')) {
		const description = one(content, 'description', NS.rtp);
		const kind = choice(description?.attrs.media ?? content.attrs.name, ['audio', 'video']);
		const nameOf = new Map();
		for (const s of bounded(all(description, 'source', NS.source), limits.sources)) {
			const name = s.attrs.name ?? parameter(s, 'msid') ?? s.attrs.ssrc;
			nameOf.set(s.attrs.ssrc, name);
			if (!found.has(name)) found.set(name, { kind, sources: [] });
			found.get(name).sources.push(s);
		}
		for (const g of bounded(all(description, 'ssrc-group', NS.source), limits.sources)) {
			found.get(nameOf.get(one(g, 'source')?.attrs.ssrc))?.sources.push(g);
		}
	}
	if (found.size === 0) throw new Malformed('no sources');
	return found.values();
}

/** sourceContent is a content with nothing but its sources, as source-add has it. */
export function sourceContent(content) {
	const { attrs: a, kids } = one(content, 'description', NS.rtp);
	return el('content', { creator: 'initiator', name: a.media, senders: 'both' }, el('description', { xmlns: NS.rtp, media: a.media }, kids.filter(isSource)));
}

function dataLines(port, transport) {
	const map = one(transport, 'sctpmap', NS.sctp);
	return [`m=application ${port} UDP/DTLS/SCTP webrtc-datachannel`, `a=sctp-port:${number(map?.attrs.number ?? '5000', 65536)}`, 'a=max-message-size:262144'];
}

function mediaLines(kind, port, description) {
	const payloads = bounded(all(description, 'payload-type'), limits.payloads);
	if (payloads.length === 0) throw new Malformed('a description without payload types');
	const out = [`m=${kind} ${port} UDP/TLS/RTP/SAVPF ${payloads.map((p) => number(p.attrs.id, 128)).join(' ')}`, 'a=rtcp:9 IN IP4 0.0.0.0'];
	if (one(description, 'rtcp-mux')) out.push('a=rtcp-mux');
	for (const p of payloads) out.push(...payloadLines(p));
	for (const f of bounded(all(description, 'rtcp-fb', NS.feedback), limits.parameters)) out.push(feedbackLine('*', f));
	for (const x of bounded(all(description, 'rtp-hdrext', NS.extension), limits.extensions)) {
		const direction = directions.get(x.attrs.senders) ?? '';
		out.push(`a=extmap:${number(x.attrs.id, 256)}${direction} ${token(x.attrs.uri)}`);
	}
	if (description.attrs.maxptime !== undefined) out.push(`a=maxptime:${number(description.attrs.maxptime, 1000)}`);
	const sources = bounded(all(description, 'source', NS.source), limits.sources);
	const label = sources.map((s) => parameter(s, 'msid')).find((v) => v !== undefined);
	if (label !== undefined) out.push(`a=msid:${words(label)}`);
	for (const g of bounded(all(description, 'ssrc-group', NS.source), limits.sources)) {
		out.push(`a=ssrc-group:${token(g.attrs.semantics)} ${bounded(all(g, 'source'), limits.sources).map((s) => number(s.attrs.ssrc, 2 ** 32)).join(' ')}`);
	}
	for (const s of sources) {
		const ssrc = number(s.attrs.ssrc, 2 ** 32);
		const msid = parameter(s, 'msid');
		out.push(`a=ssrc:${ssrc} cname:${words(parameter(s, 'cname') ?? 'parley')}`);
		if (msid !== undefined) out.push(`a=ssrc:${ssrc} msid:${words(msid)}`);
	}
	return out;
}

function payloadLines(p) {
	const id = number(p.attrs.id, 128);
	const channels = p.attrs.channels !== undefined && p.attrs.channels !== '1' ? '/' + number(p.attrs.channels, 256) : '';
	const out = [`a=rtpmap:${id} ${token(p.attrs.name)}/${number(p.attrs.clockrate, 2 ** 32)}${channels}`];
	for (const f of bounded(all(p, 'rtcp-fb', NS.feedback), limits.parameters)) out.push(feedbackLine(id, f));
	const parameters = bounded(all(p, 'parameter'), limits.parameters)
		.map((x) => (x.attrs.name ? `${words(x.attrs.name)}=${words(x.attrs.value)}` : words(x.attrs.value)).replace(/;$/, ''));
	if (parameters.length) out.push(`a=fmtp:${id} ${parameters.join(';')}`);
	return out;
}

const feedbackLine = (id, f) => `a=rtcp-fb:${id} ${token(f.attrs.type)}${f.attrs.subtype ? ' ' + words(f.attrs.subtype) : ''}`;

const parameter = (source, name) => all(source, 'parameter').find((p) => p.attrs.name === name)?.attrs.value;

/** changed returns those contents that differ in more than their candidates from the ones that were sent before. */
export function changed(before, contents) {
	const known = new Map(before.map((c) => [c.attrs.name, signature(c)]));
	return contents.filter((c) => known.get(c.attrs.name) !== signature(c));
}

const signature = (content) => content.attrs.senders + content.kids.filter((k) => k.name === 'description').map(serialize).join('');

/** action is the Jingle action for an offer in a running session, given the description that was sent before. */
export function offerAction(beforeSDP, beforeContents, sdp, contents) {
	if (ufragOf(beforeSDP) !== ufragOf(sdp)) return 'transport-replace';
	const known = new Set(beforeContents.map((c) => c.attrs.name));
	return contents.some((c) => !known.has(c.attrs.name)) ? 'content-add' : 'content-modify';
}

// The checks. A value becomes part of a line of the description: no end of line may be in it.

function token(value) {
	if (value === undefined || value === '' || value.length > limits.value || !/^[\x21-\x7e]+$/.test(value)) throw new Malformed(`"${String(value).slice(0, 20)}" is no token`);
	return value;
}

function words(value) {
	if (value === undefined || value.length > limits.value || /[\x00-\x1f\x7f]/.test(value)) throw new Malformed('a value with control characters');
	return value;
}

function number(value, below) {
	if (!/^\d{1,10}$/.test(value ?? '') || Number(value) >= below) throw new Malformed(`"${String(value).slice(0, 20)}" is no number below ${below}`);
	return value;
}

function choice(value, allowed) {
	if (!allowed.includes(value)) throw new Malformed(`"${String(value).slice(0, 20)}" is none of ${allowed.join(', ')}`);
	return value;
}

function bounded(list, most) {
	if (list.length > most) throw new Malformed(`more than ${most} of one kind`);
	return list;
}

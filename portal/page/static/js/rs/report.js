// What the server is told of a connection: how it goes, and every few seconds how good it is.

/** pathOf is a connectType: TURN where a relay is in the path, STUN where there is none, Unknown where the browser does not say. */
export function pathOf(stats) {
	const list = [...stats.values()];
	const transport = list.find((s) => s.type === 'transport' && s.selectedCandidatePairId);
	const pair = stats.get(transport?.selectedCandidatePairId) ?? list.find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded');
	const ends = [stats.get(pair?.localCandidateId), stats.get(pair?.remoteCandidateId)];
	if (!ends[0]?.candidateType || !ends[1]?.candidateType) return 'Unknown';
	return ends.some((e) => e.candidateType === 'relay') ? 'TURN' : 'STUN';
}

/** Report compares a connection's statistics with those of the time before. */
export class Report {
	#before = new Map(); // id of a statistic to what it said

	/** read returns {audio, video} as reportStats has them: bitRate in kbit/s, packetsLostRate a text, null where nothing is known. */
	read(stats) {
		const list = [...stats.values()];
		const of = (type, kind) => list.find((s) => s.type === type && s.kind === kind);
		const codec = (s) => stats.get(s?.codecId)?.mimeType?.split('/')[1] ?? null;
		const out = {};
		for (const kind of ['audio', 'video']) {
			const sent = of('outbound-rtp', kind);
			const came = of('inbound-rtp', kind);
			const heard = of('remote-inbound-rtp', kind);
			const send = { bitRate: this.#rate(sent, 'bytesSent'), packetsLostRate: text(heard?.fractionLost) };
			const recv = { bitRate: this.#rate(came, 'bytesReceived'), packetsLostRate: text(this.#lost(came)) };
			if (kind === 'video') {
				Object.assign(send, { codecName: codec(sent), frameRateSent: whole(sent?.framesPerSecond), width: whole(sent?.frameWidth), height: whole(sent?.frameHeight) });
				Object.assign(recv, { codecName: codec(came), frameRateRecv: whole(came?.framesPerSecond), width: whole(came?.frameWidth), height: whole(came?.frameHeight) });
			}
			out[kind] = { send, recv };
		}
		for (const s of list) if (/bound-rtp$/.test(s.type)) this.#before.set(s.id, s);
		return out;
	}

	#rate(s, key) {
		const b = this.#before.get(s?.id);
		if (!b || !(s.timestamp > b.timestamp)) return null;
		return whole(8 * (s[key] - b[key]) / (s.timestamp - b.timestamp)); // bits per millisecond are kbit/s
	}

	#lost(s) {
		const b = this.#before.get(s?.id);
		if (!b) return undefined;
		const lost = Math.max(0, s.packetsLost - b.packetsLost);
		const all = lost + s.packetsReceived - b.packetsReceived;
		return all > 0 ? lost / all : undefined;
	}
}

const whole = (n) => (Number.isFinite(n) ? Math.max(0, Math.round(n)) : null);
const text = (n) => (Number.isFinite(n) ? Math.min(1, Math.max(0, n)).toFixed(2) : null);

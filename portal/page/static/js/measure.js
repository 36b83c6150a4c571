// What comes and what goes, from the browser's statistics: for the panel that says what the bridge sends and why.

/** Measure compares what the statistics say with the time before. */
export class Measure {
	constructor() {
		this.before = new Map(); // id of a statistic to {bytes, at}
	}

	/** picture measures a receiver of video: {width, height, rate, codec, bits, freezes}; bits per second. */
	async picture(receiver) {
		if (!receiver) return {};
		const stats = await receiver.getStats();
		for (const s of stats.values()) {
			if (s.type !== 'inbound-rtp' || s.kind !== 'video') continue;
			return {
				width: s.frameWidth, height: s.frameHeight, rate: s.framesPerSecond, codec: codecOf(stats, s),
				bits: this.#bits(s.id, s.bytesReceived, s.timestamp), freezes: s.freezeCount ?? 0,
			};
		}
		return {};
	}

	/** sent measures a sender of video: one entry for each stream that is sent. */
	async sent(sender) {
		if (!sender) return [];
		const stats = await sender.getStats();
		const out = [];
		for (const s of stats.values()) {
			if (s.type !== 'outbound-rtp' || s.kind !== 'video') continue;
			const bits = this.#bits(s.id, s.bytesSent, s.timestamp);
			if (s.active === false || !bits || !s.framesPerSecond) continue;
			out.push({ width: s.frameWidth, height: s.frameHeight, rate: s.framesPerSecond, codec: codecOf(stats, s), bits, mode: s.scalabilityMode, limit: s.qualityLimitationReason });
		}
		return out.sort((a, b) => a.height - b.height);
	}

	#bits(id, bytes, at) {
		const before = this.before.get(id);
		this.before.set(id, { bytes, at });
		return before && at > before.at ? Math.max(0, Math.round(8000 * (bytes - before.bytes) / (at - before.at))) : undefined;
	}
}

const codecOf = (stats, s) => stats.get(s.codecId)?.mimeType?.replace(/^video\//, '') ?? '';

/** sizeWords writes what was measured in a few words. */
export function sizeWords({ width, height, rate, codec, bits }) {
	if (!width) return '';
	const speed = bits === undefined ? '' : bits < 1_000_000 ? `${Math.round(bits / 1000)} kbit/s` : `${(bits / 1_000_000).toFixed(1)} Mbit/s`;
	return [`${width}×${height}`, rate === undefined ? '' : `${Math.round(rate)} fps`, codec, speed].filter(Boolean).join(' · ');
}

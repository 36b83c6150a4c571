// What a camera is sent as: three streams of VP8 or H264 (simulcast), or one stream with layers of VP9 or AV1 (scalable
// coding), and how much of it when nobody wants more than a height.

/** scalable are the codecs that carry their layers in one stream. */
export const scalable = new Set(['vp9', 'av1']);

// Bits per second of a camera at a height; what is between is by the number of pixels.
const rates = { vp8: 1_700_000, h264: 1_700_000, vp9: 1_300_000, av1: 1_100_000 };
const rateAt = (codec, height) => Math.max(60_000, Math.round((rates[codec] ?? rates.vp8) * Math.min(2, (height / 720) ** 1.5)));

/**
 * cameraLayers returns what the encodings of a camera are to be. height is the camera's; wanted is the greatest height that
 * anybody wants, 0 for none and below 0 for any; count is how many streams there are, lowest first.
 */
export function cameraLayers({ codec, height, wanted, count }) {
	const fits = (h) => wanted < 0 || h <= wanted;
	if (scalable.has(codec)) {
		const scale = [1, 2, 4].find((s) => fits(height / s)) ?? 4;
		const mode = { 1: 'L3T3_KEY', 2: 'L2T3_KEY', 4: 'L1T3' }[scale];
		return Array.from({ length: count }, (_, i) => (i === 0
			? { active: wanted !== 0, scaleResolutionDownBy: scale, scalabilityMode: mode, maxBitrate: rateAt(codec, height / scale) }
			: { active: false, scaleResolutionDownBy: scale }));
	}
	const used = Math.min(count, height >= 540 ? 3 : height >= 270 ? 2 : 1); // more Chromium does not make of a small picture
	return Array.from({ length: count }, (_, i) => {
		if (i >= used) return { active: false };
		const scale = 2 ** (used - 1 - i);
		return { active: wanted !== 0 && (i === 0 || fits(height / scale)), scaleResolutionDownBy: scale, scalabilityMode: 'L1T3', maxBitrate: rateAt(codec, height / scale) };
	});
}

/** screenLayers is the same for a screen, which is one stream: text stays readable as long as somebody sees it large. */
export function screenLayers({ height, wanted }) {
	return [{ active: wanted !== 0, scaleResolutionDownBy: wanted > 0 ? Math.max(1, height / wanted) : 1, maxBitrate: 2_500_000 }];
}

/** sharedCodec is the codec that one sends: the first that one prefers, that was offered, and that all others can decode. */
export function sharedCodec(preferred, offered, lists) {
	const can = (codec) => offered.includes(codec) && lists.every((list) => list.length === 0 || list.includes(codec));
	return preferred.find(can) ?? preferred.find((c) => offered.includes(c)) ?? offered[0];
}

/** setLayers gives a sender its encodings; what the browser does not know of them is left out. */
export async function setLayers(sender, layers, codec) {
	const known = globalThis.RTCRtpSender?.getCapabilities?.('video')?.codecs ?? [];
	const match = known.find((c) => c.mimeType.toLowerCase() === `video/${codec}`);
	for (const attempt of ['codec', 'modes', 'scale', 'active']) {
		const parameters = sender.getParameters();
		if (!parameters.encodings?.length) return;
		parameters.encodings.forEach((encoding, i) => {
			const layer = layers[Math.min(i, layers.length - 1)];
			encoding.active = layer.active;
			if (attempt !== 'active' && layer.scaleResolutionDownBy) encoding.scaleResolutionDownBy = layer.scaleResolutionDownBy;
			if (attempt !== 'active' && layer.maxBitrate) encoding.maxBitrate = layer.maxBitrate;
			delete encoding.scalabilityMode;
			delete encoding.codec;
			if ((attempt === 'codec' || attempt === 'modes') && layer.scalabilityMode) encoding.scalabilityMode = layer.scalabilityMode;
			if (attempt === 'codec' && match) encoding.codec = match;
		});
		try {
			await sender.setParameters(parameters);
			return;
		} catch (error) {
			if (error.name === 'InvalidStateError') return; // the connection is closed
		}
	}
}

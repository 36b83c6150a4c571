// Makes the grey pictures of internal/peertest/jitsipeer/testdata/grey with the browser's encoder of VP8:
//
//	node grey.mjs FOLDER
//
// For each height a key frame, and the frame behind it, which changes nothing.

import fs from 'node:fs';
import { chromium } from 'playwright-core';

const [, , folder] = process.argv;
const browser = await chromium.launch({ executablePath: process.env.PARLEY_CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
const tab = await browser.newPage();
await tab.route('**/*', (r) => r.fulfill({ contentType: 'text/html', body: '<!doctype html>' }));
await tab.goto('https://grey.test/'); // encoders want a secure context
for (const [width, height] of [[160, 88], [320, 184], [640, 360]]) {
	const [key, delta] = await tab.evaluate(async ([codedWidth, codedHeight]) => {
		const chunks = [];
		const encoder = new VideoEncoder({
			output: (c) => {
				const b = new Uint8Array(c.byteLength);
				c.copyTo(b);
				chunks.push([...b]);
			},
			error: (e) => chunks.push(String(e)),
		});
		encoder.configure({ codec: 'vp8', width: codedWidth, height: codedHeight, bitrate: 100_000, framerate: 25, latencyMode: 'realtime' });
		const grey = new Uint8Array(codedWidth * codedHeight * 3 / 2).fill(128);
		for (let i = 0; i < 2; i++) {
			const frame = new VideoFrame(grey, { format: 'I420', codedWidth, codedHeight, timestamp: i * 40_000 });
			encoder.encode(frame, { keyFrame: i === 0 });
			frame.close();
		}
		await encoder.flush();
		return chunks;
	}, [width, height]);
	for (const [kind, bytes] of Object.entries({ key, delta })) fs.writeFileSync(`${folder}/${height}-${kind}.vp8`, Uint8Array.from(bytes));
	console.log(height, key.length, delta.length);
}
await browser.close();

import { newRoom, pair } from './drive.mjs';
import { magentaScreen } from './room.mjs';
export async function p2pscreen(browser) {
	const [ann, bob] = await pair(browser, newRoom());
	await bob.sees(30);
	await ann.tab.evaluate(magentaScreen);
	await ann.press('s');
	await ann.tab.waitForTimeout(3000);
	for (const p of [ann, bob]) console.error(JSON.stringify(await p.tab.evaluate(async () => ({ st: parley.call.pc.signalingState, tr: parley.call.pc.getTransceivers().map((t) => [t.mid, t.direction, t.currentDirection, t.sender.track?.kind]), tracks: Object.keys(parley.call.tracks), direct: parley.view.direct,
		in: [...(await parley.call.pc.getStats()).values()].filter((s) => /bound-rtp/.test(s.type) && s.kind === 'video' && !/remote/.test(s.type)).map((s) => [s.type, s.mid, s.framesDecoded ?? s.framesEncoded, s.frameWidth]) }))));
	console.error(ann.sent.filter((s) => /source-add/.test(s)).join('\n'), bob.sent.filter((s) => /error/.test(s)).join('\n'));
}

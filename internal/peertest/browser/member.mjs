// A member of a conference in the network bench that is a real browser on our own page: it reads orders, one JSON object a
// line, and answers each with a line, as the bench's own members do (internal/bench/network, member.go). PARLEY_PAGE is the
// server's address. It sends nothing; what it receives is what the browser's statistics say.
//
// Frames of audio are times of 20 ms. Delays are not measured. A picture that stands still for more than five seconds is away,
// which is no freeze.
import { Browser, lines } from './drive.mjs';

const pause = 5_000; // ms
const look = 250; // ms
const frame = 48_000 / 50; // samples

// watch adds up, in the page, what the statistics of each source grow by. A source may move to another slot, whose statistics
// are of whatever played there before: they count from the first look on.
const watch = ([pause, look]) => {
	const counters = ['framesDecoded', 'freezeCount', 'totalFreezesDuration', 'totalSamplesReceived', 'concealedSamples', 'nackCount', 'pliCount', 'firCount'];
	let sums = new Map(); // by source
	const step = async () => {
		const { bridge } = globalThis.parley;
		for (const [source, { kind }] of bridge?.playing ?? []) {
			const stats = await bridge.receiver(source)?.getStats();
			const s = stats && [...stats.values()].find((v) => v.type === 'inbound-rtp');
			if (!s) continue;
			const sum = sums.get(source) ?? { source, kind, first: 0, at: 0, paused: 0 };
			sums.set(source, sum);
			const grown = Object.fromEntries(counters.map((c) => [c, sum.last?.id === s.id ? Math.max(0, (s[c] ?? 0) - (sum.last[c] ?? 0)) : 0]));
			for (const c of counters) sum[c] = (sum[c] ?? 0) + grown[c];
			sum.last = s;
			if (!grown.framesDecoded) continue;
			const t = performance.now();
			sum.height = s.frameHeight ?? 0;
			if (!sum.first) sum.first = t;
			else if (t - sum.at > pause) sum.paused += t - sum.at;
			sum.at = t;
		}
	};
	globalThis.benchReset = async () => {
		sums = new Map();
		const mine = sums;
		const run = async () => {
			await step();
			if (mine === sums) setTimeout(run, look);
		};
		await run();
	};
	globalThis.benchReport = async () => {
		await step();
		const t = performance.now();
		return [...sums.values()].map(({ last, ...sum }) => {
			const open = sum.at && t - sum.at > pause ? t - sum.at : 0; // a pause that lasts
			const seen = sum.first ? (t - sum.first - sum.paused - open) / 1000 : 0;
			return {
				...sum, alive: sum.first ? (sum.at - sum.first - sum.paused) / 1000 : 0,
				freeze: seen > 0 ? Math.min(1, Math.max(0, sum.totalFreezesDuration - sum.paused / 1000) / seen) : 0,
			};
		});
	};
};

// hold lets the page's wishes wait while nothing is wanted.
const hold = (lastN) => {
	const { bridge } = globalThis.parley;
	if (lastN !== 0) {
		const wished = globalThis.held ?? bridge.wishes;
		delete bridge.wish;
		bridge.wish(wished);
		return;
	}
	globalThis.held ??= bridge.wishes;
	const none = { lastN: 0, defaultConstraints: { maxHeight: 0 }, onStageSources: [], selectedSources: [], constraints: {} };
	Object.getPrototypeOf(bridge).wish.call(bridge, none);
	bridge.wish = (constraints) => {
		globalThis.held = constraints ?? globalThis.held;
	};
};

let browser;
let person;

const deeds = {
	async join({ Spec }) {
		browser = await Browser.start();
		person = await browser.person(Spec.Nick);
		await person.enter(Spec.Room, '#config.startWithAudioMuted=true&config.startWithVideoMuted=true');
		await person.inside();
	},
	async media() {
		await person.until(() => globalThis.parley.bridge?.state === 'connected' && globalThis.parley.bridge.carrying, 'the bridge');
		await person.tab.evaluate(watch, [pause, look]);
		await person.tab.evaluate(hold, 0);
		await person.tab.evaluate(() => globalThis.benchReset());
	},
	want: ({ LastN }) => person.tab.evaluate(hold, LastN),
	reset: () => person.tab.evaluate(() => globalThis.benchReset()),
	async report() {
		const all = await person.tab.evaluate(() => globalThis.benchReport());
		const sum = (of) => all.reduce((n, s) => n + of(s), 0);
		return {
			Sources: all.map((s) => (s.kind === 'audio'
				? { Source: s.source, Audio: true, Played: Math.max(0, Math.round((s.totalSamplesReceived - s.concealedSamples) / frame)), Concealed: Math.round(s.concealedSamples / frame) }
				: { Source: s.source, Pictures: s.framesDecoded, Alive: s.alive, Freeze: s.freeze, Freezes: s.freezeCount, Height: s.height ?? 0 })),
			Nacked: sum((s) => s.nackCount), Begged: sum((s) => s.pliCount + s.firCount),
		};
	},
};

let work = Promise.resolve();
lines.on('line', (line) => {
	work = work.then(async () => {
		const answer = {};
		try {
			const order = JSON.parse(line);
			if (!Object.hasOwn(deeds, order.Do)) throw new Error(`no order ${order.Do}`);
			const report = await deeds[order.Do](order);
			if (order.Do === 'report') answer.Report = report;
		} catch (error) {
			answer.Error = String(error.stack ?? error);
		}
		console.log(JSON.stringify(answer));
	});
});
lines.on('close', async () => {
	await browser?.close().catch(() => {});
	process.exit(0);
});

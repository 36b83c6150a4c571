// The pictures of the manual. The people are drawn: nobody sits before a camera of a test.
import { newRoom } from './drive.mjs';

// A camera with somebody in it, who nods; called in the page before it opens one.
const somebody = ([wall, hair, shirt, skin, size = [960, 540], rate = 12]) => {
	const draw = (width, height) => {
		const canvas = Object.assign(document.createElement('canvas'), { width, height });
		const c = canvas.getContext('2d');
		const frame = () => {
			const t = performance.now() / 900;
			const u = height / 100;
			const light = c.createLinearGradient(0, 0, width, height);
			light.addColorStop(0, wall[0]);
			light.addColorStop(1, wall[1]);
			c.fillStyle = light;
			c.fillRect(0, 0, width, height);
			c.fillStyle = '#ffffff2b';
			c.fillRect(width * 0.1, 12 * u, 34 * u, 44 * u);
			c.fillStyle = '#0000001f';
			c.fillRect(width * 0.76, 58 * u, 26 * u, 3 * u);
			c.fillRect(width * 0.79, 40 * u, 5 * u, 18 * u);
			c.fillRect(width * 0.83, 44 * u, 4 * u, 14 * u);
			const x = width / 2 + Math.sin(t / 2) * u;
			const y = 46 * u + Math.sin(t) * 0.7 * u;
			const oval = (cx, cy, rx, ry, colour) => { c.fillStyle = colour; c.beginPath(); c.ellipse(cx, cy, rx, ry, 0, 0, 7); c.fill(); };
			oval(x, 116 * u, 42 * u, 44 * u, shirt);
			c.fillStyle = skin;
			c.fillRect(x - 7 * u, 60 * u, 14 * u, 16 * u);
			oval(x, y - 5 * u, 20.5 * u, 22 * u, hair);
			oval(x, y + 2 * u, 17 * u, 21 * u, skin);
			c.fillStyle = hair;
			c.beginPath();
			c.ellipse(x, y - 10 * u, 18 * u, 11 * u, 0, Math.PI, 0);
			c.fill();
			oval(x - 6.5 * u, y, 1.6 * u, 2 * u, '#2b2320');
			oval(x + 6.5 * u, y, 1.6 * u, 2 * u, '#2b2320');
			c.strokeStyle = '#8a4a3c';
			c.lineWidth = 1.2 * u;
			c.lineCap = 'round';
			c.beginPath();
			c.arc(x, y + 7 * u, 5.5 * u, 0.35, Math.PI - 0.35);
			c.stroke();
		};
		frame();
		setInterval(frame, 1000 / rate);
		return canvas.captureStream(rate);
	};
	const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
	navigator.mediaDevices.getUserMedia = async (constraints) => {
		const stream = constraints.video ? draw(...size) : new MediaStream();
		if (constraints.audio) stream.addTrack((await real({ audio: true })).getAudioTracks()[0]);
		return stream;
	};
};

const ann = [['#e9dcc6', '#c9b79c'], '#5b3a29', '#2f6f62', '#e6b899'];
const bob = [['#c9d6df', '#9fb2c1'], '#2a2a2e', '#b5613c', '#b98863'];

const desk = { viewport: { width: 1280, height: 800 }, colorScheme: 'light' };
const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, colorScheme: 'dark' };

/** manual takes those of a call of two and puts them into a folder. */
export async function manual(browser, folder) {
	const room = newRoom().replace(/^room-.*/, 'sunday-coffee');
	const one = await browser.person('Ann', desk);
	const two = await browser.person('Bob', phone);
	await one.tab.addInitScript(somebody, ann);
	await two.tab.addInitScript(somebody, bob);
	const picture = (p, name) => p.tab.screenshot({ path: `${folder}/${name}.png` });
	await one.open('/', '#config.resolution=540');
	await one.lookGood();
	await one.tab.fill('#name', 'Ann');
	await one.tab.focus('#enter');
	await one.tab.waitForTimeout(500);
	await picture(one, 'lobby');
	await two.open(`/${room}`, '#config.resolution=540');
	await two.lookGood();
	await two.tab.fill('#name', 'Bob');
	await two.tab.waitForTimeout(300);
	await picture(two, 'lobby-phone');
	await one.enter(room, '#config.resolution=540');
	await one.inside();
	await one.tab.waitForTimeout(300);
	await picture(one, 'alone');
	await two.tab.click('#enter');
	await Promise.all([one.connected(), two.connected()]);
	await Promise.all([one.sees(60), two.sees(60)]);
	await Promise.all([one, two].map((p) => p.shows('Connected directly', '#state')));
	await one.until(() => !globalThis.parley.view.notice, 'the notice being gone');
	await picture(one, 'call');
	await one.until(() => document.querySelector('.remote video').videoHeight > 0, 'the picture');
	await picture(two, 'call-phone');
	await one.press('c');
	for (const [p, text] of [[two, 'Good morning! Is the coffee ready?'], [one, 'Five minutes. Did you read this? https://example.org/beans'], [two, 'Not yet – after the second cup.']]) {
		await p.tab.evaluate((t) => globalThis.parley.say(t), text);
		await one.shows(text.slice(0, 12), '.message');
	}
	await one.tab.emulateMedia({ colorScheme: 'dark' });
	await one.tab.waitForTimeout(2000);
	await picture(one, 'chat-dark');
	await two.tab.click('button[aria-label^="Chat"]');
	await two.tab.waitForTimeout(400);
	await picture(two, 'chat-phone');
}

const cid = [['#d9d2e4', '#a99fbd'], '#8a3b22', '#c98a1b', '#f0c9ae'];
const dot = [['#d3e0cf', '#9db39a'], '#1d1d20', '#5a4a8a', '#8d5f43'];

// What is on the screen that somebody shares: a page with a chart.
const sheet = () => {
	navigator.mediaDevices.getDisplayMedia = async () => {
		const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
		const c = canvas.getContext('2d');
		const frame = () => {
			c.fillStyle = '#fffdf8';
			c.fillRect(0, 0, 1280, 720);
			c.fillStyle = '#2b2a28';
			c.font = '600 46px sans-serif';
			c.fillText('Beans of the month', 90, 120);
			c.font = '28px sans-serif';
			for (const [i, [what, n]] of [['Guji', 82], ['Huehuetenango', 64], ['Nyeri', 91], ['Sidama', 47]].entries()) {
				c.fillStyle = '#2b2a28';
				c.fillText(what, 90, 240 + i * 110);
				c.fillStyle = ['#2f6f62', '#b5613c', '#c98a1b', '#5a4a8a'][i];
				c.fillRect(360, 205 + i * 110, n * 8.6, 52);
			}
		};
		setInterval(frame, 200);
		frame();
		return canvas.captureStream(5);
	};
};

/** several takes those of four people: in a grid, and with a shared screen. */
export async function several(browser, folder) {
	const people = [];
	for (const [name, looks, options] of [['Ann', ann, desk], ['Bob', bob, phone], ['Cid', cid, {}], ['Dot', dot, {}]]) {
		const p = await browser.person(name, options);
		await p.tab.addInitScript(somebody, [...looks, [640, 360], 6]); // four cameras are much for one computer
		await p.enter('sunday-coffee', '#config.resolution=360');
		await p.inside();
		people.push(p);
	}
	const [one, two, , four] = people;
	const picture = (p, name) => p.tab.screenshot({ path: `${folder}/${name}.png` });
	await Promise.all(people.map((p) => p.bridged()));
	for (const p of [one, two]) {
		await p.until(() => [...document.querySelectorAll('.remote')].length === 3 && ![...document.querySelectorAll('.remote video')].some((v) => v.classList.contains('unseen') || !v.videoWidth) && !globalThis.parley.view.notice, 'everybody');
	}
	await one.tab.waitForTimeout(3000);
	await picture(one, 'grid');
	await picture(two, 'grid-phone');
	await four.tab.evaluate(sheet);
	await four.press('s');
	await one.tab.emulateMedia({ colorScheme: 'dark' });
	for (const p of [one, two]) await p.until(() => document.querySelector('.large video')?.videoWidth > 0 && !document.querySelector('.large video').classList.contains('unseen'), 'the screen');
	await one.press('q');
	await one.until(() => document.querySelectorAll('.quality .size').length >= 4, 'what comes');
	await one.tab.waitForTimeout(4000);
	await picture(one, 'screen-dark');
	await picture(two, 'screen-phone');
}

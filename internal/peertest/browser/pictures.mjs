// The pictures of the manual. The people are drawn: nobody sits before a camera of a test.
import { newRoom } from './drive.mjs';

// A camera with somebody in it, who nods; called in the page before it opens one.
const somebody = ([wall, hair, shirt, skin]) => {
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
		setInterval(frame, 40);
		return canvas.captureStream(25);
	};
	const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
	navigator.mediaDevices.getUserMedia = async (constraints) => {
		const stream = constraints.video ? draw(1280, 720) : new MediaStream();
		if (constraints.audio) stream.addTrack((await real({ audio: true })).getAudioTracks()[0]);
		return stream;
	};
};

const ann = [['#e9dcc6', '#c9b79c'], '#5b3a29', '#2f6f62', '#e6b899'];
const bob = [['#c9d6df', '#9fb2c1'], '#2a2a2e', '#b5613c', '#b98863'];

/** manual takes them all and puts them into a folder. */
export async function manual(browser, folder) {
	const room = newRoom().replace(/^room-.*/, 'sunday-coffee');
	const desk = { viewport: { width: 1280, height: 800 }, colorScheme: 'light' };
	const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, colorScheme: 'dark' };
	const one = await browser.person('Ann', desk);
	const two = await browser.person('Bob', phone);
	await one.tab.addInitScript(somebody, ann);
	await two.tab.addInitScript(somebody, bob);
	const picture = (p, name) => p.tab.screenshot({ path: `${folder}/${name}.png` });
	await one.open('/', '#config.resolution=720');
	await one.lookGood();
	await one.tab.fill('#name', 'Ann');
	await one.tab.focus('#enter');
	await one.tab.waitForTimeout(500);
	await picture(one, 'lobby');
	await two.open(`/${room}`, '#config.resolution=720');
	await two.lookGood();
	await two.tab.fill('#name', 'Bob');
	await two.tab.waitForTimeout(300);
	await picture(two, 'lobby-phone');
	await one.enter(room, '#config.resolution=720');
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

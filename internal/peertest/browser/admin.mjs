// The page of administrators, beside a room with members.

import assert from 'node:assert/strict';
import { newRoom } from './drive.mjs';

const page = process.env.PARLEY_PAGE?.replace(/\/$/, '');

async function visit(person, hash = '') {
	await person.tab.goto(`${page}/admin${hash}`);
	await person.tab.waitForSelector('#user');
}

async function logIn(person, user, password) {
	await person.tab.fill('#user', user);
	await person.tab.fill('#password', password);
	await person.press('Enter');
}

async function picture(person, dir, name) {
	if (dir) await person.tab.screenshot({ path: `${dir}/${name}.png`, fullPage: true });
}

/** room: who administers sees three members, their door, and figures that change; throws one out. Dir is for pictures. */
export async function room(browser, dir) {
	const name = newRoom();
	const people = [];
	for (const who of ['Ann', 'Bob', 'Carl']) { // three, so that the bridge carries
		const p = await browser.person(who);
		await p.enter(name);
		await p.inside();
		people.push(p);
	}
	await Promise.all(people.map((p) => p.bridged()));
	const boss = await browser.person('Boss');
	await visit(boss);
	await picture(boss, dir, 'door');
	await logIn(boss, 'boss', 'secret');
	await boss.shows(name, '.table a');
	await picture(boss, dir, 'rooms');
	await boss.tab.click(`.table a:has-text("${name}")`);
	await boss.until(() => document.querySelectorAll('.table tbody tr').length >= 3, 'three members');
	const own = await Promise.all(people.slice(0, 2).map((p) => p.tab.evaluate(() => globalThis.parley.view.me)));
	for (const nick of own) await boss.shows(nick, '.table td');
	await boss.shows('jitsi', '.table td');
	await boss.until(() => document.querySelectorAll('.chart canvas').length === 4, 'four charts');
	const sends = () => boss.tab.evaluate((nick) => [...document.querySelectorAll('.table tbody tr')].find((r) => r.innerText.includes(nick))?.querySelector('td[data-head="Sends"]')?.innerText, own[0]);
	const seen = new Set();
	const until = Date.now() + 40_000;
	while (seen.size < 3) { // the bit rate of a camera is never the same for long
		const now = await sends();
		if (/[1-9].*bit\/s/.test(now ?? '')) seen.add(now);
		assert.ok(Date.now() < until, `the figures do not change: ${[...seen]}`);
		await boss.tab.waitForTimeout(200);
	}
	if (dir) {
		await boss.tab.waitForTimeout(20_000); // so that there is something to be seen
		await picture(boss, dir, 'room');
		await boss.tab.evaluate(() => globalThis.theme.set('dark'));
		await picture(boss, dir, 'room-dark');
		await boss.tab.setViewportSize({ width: 390, height: 844 });
		await picture(boss, dir, 'room-phone-dark');
		await boss.tab.evaluate(() => globalThis.theme.set('light'));
		await picture(boss, dir, 'room-phone');
		await boss.tab.setViewportSize({ width: 1280, height: 800 });
	}
	const out = `.table tbody tr:has-text("${own[1]}") button`;
	await boss.tab.click(out);
	await boss.shows('Really?', '.table button');
	// Whoever hesitates for five seconds, as a busy machine may, is asked again.
	await boss.until((nick) => {
		const row = [...document.querySelectorAll('.table tbody tr')].find((r) => r.innerText.includes(nick));
		const button = row?.querySelector('button');
		if (button && (button.innerText === 'Really?' || Date.now() > (globalThis.clicked ?? 0) + 10_000)) {
			globalThis.clicked = Date.now();
			button.click();
		}
		return !row;
	}, 'one member being thrown out', own[1]);
	return { figures: [...seen].join(', ') };
}

/** views: each is reached by the keyboard and shows what the API tells; nothing is wider than a phone. */
export async function views(browser, dir) {
	const boss = await browser.person('Boss');
	await visit(boss);
	await logIn(boss, 'boss', 'secret');
	await boss.shows('Rooms', 'h2');
	for (const [hash, title, words] of [['people', 'People', 'boss@'], ['tokens', 'Tokens', 'Make a token'], ['apps', 'Applications', 'Add an application'], ['reports', 'Reports', 'Connections'],
		['ice', 'ICE servers', 'turn:'], ['health', 'Health', 'Ready for new clients.']]) {
		await boss.tab.focus(`nav a[href="#${hash}"]`);
		await boss.press('Enter');
		await boss.shows(title, 'h2');
		await boss.shows(words, 'main');
		assert.equal(await boss.tab.getAttribute(`nav a[href="#${hash}"]`, 'aria-current'), 'page');
		await boss.tab.setViewportSize({ width: 390, height: 844 });
		const wide = await boss.tab.evaluate(() => document.documentElement.scrollWidth);
		await picture(boss, dir, `${hash}-phone`);
		assert.ok(wide <= 390, `${hash} is ${wide} pixels wide on a phone`);
		await boss.tab.setViewportSize({ width: 1280, height: 800 });
		await picture(boss, dir, hash);
	}
	await boss.tab.goto(`${page}/admin#apps`);
	await boss.tab.fill('input[name="name"]', 'shop');
	await boss.tab.check('input[name="rooms:read"]');
	await boss.press('Enter');
	await boss.shows('shop', '.table td');
	await boss.tab.click('button:has-text("New key")');
	await boss.shows('New key of shop', 'main');
	const key = await boss.tab.inputValue('.box[role="status"] input');
	await boss.tab.reload(); // the login outlives it
	await boss.shows('shop', '.table td');
	await picture(boss, dir, 'apps-one');
	await boss.tab.goto(`${page}/admin#tokens`);
	await boss.tab.fill('input[name="room"]', 'standup');
	await boss.press('Enter');
	await boss.shows('Good until', 'main');
	const token = await boss.tab.inputValue('form [role="status"] input');
	await boss.tab.fill('#explained', token);
	await boss.tab.click('button:has-text("Explain")');
	await boss.shows('It would be accepted.', 'main');
	await boss.tab.click('#leave');
	await boss.tab.waitForSelector('#user');
	return { key: key.slice(0, 3) };
}

/** stranger: who has an account and does not administer is told so, and sees nothing; nor does a wrong password. */
export async function stranger(browser) {
	const bob = await browser.person('Bob');
	await visit(bob);
	await logIn(bob, 'bob', 'secret');
	await bob.shows('You may not administer this server.', '[role="alert"]');
	await logIn(bob, 'boss', 'wrong');
	await bob.shows('wrong user name or password', '[role="alert"]');
	assert.equal(await bob.tab.locator('nav').count(), 0);
	assert.equal(await bob.tab.evaluate(() => sessionStorage.length), 0);
}

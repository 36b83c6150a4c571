// An invitation to a meeting: its link lets somebody in where nobody comes in without.

import assert from 'node:assert/strict';

const page = process.env.PARLEY_PAGE?.replace(/\/$/, '');

async function ask(path, key, body) {
	const headers = { 'Content-Type': 'application/json', ...(key ? { Authorization: `Bearer ${key}` } : {}) };
	const answer = await fetch(`${page}/api/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
	const said = await answer.json();
	assert.ok(answer.ok, `${path}: ${answer.status} ${JSON.stringify(said)}`);
	return said;
}

const from = (minutes) => new Date(Date.now() + minutes * 60_000).toISOString();

/** link: two come by their links, one of them again after the page was loaded anew; who has none, or comes too early, hears why. */
export async function link(browser) {
	const key = (await ask('/auth/login', '', { user: 'bob', password: 'secret' })).access_token;
	const fix = (starts) => ask('/meetings', key, { title: 'Weekly', starts: from(starts), ends: from(starts + 60) });
	const invite = async (meeting, name, more = {}) => new URL((await ask(`/meetings/${meeting.id}/invitations`, key, { name, ...more })).link);
	const [now, later] = [await fix(0), await fix(60)];
	const comes = async (name, link) => {
		const person = await browser.person(name);
		await person.enter(link.pathname.slice(1) + link.search);
		return person;
	};
	const ann = await comes('Ann', await invite(now, 'Ann', { moderator: true }));
	await ann.inside();
	assert.ok(!(await ann.tab.evaluate(() => location.href)).includes('invitation'), 'the invitation is still in the address');
	const carl = await comes('Carl', await invite(now, 'Carl'));
	await Promise.all([ann.connected(), carl.connected()]);
	await carl.enter(now.room); // without the invitation, which the tab remembers
	await carl.inside();

	const early = await comes('Dora', await invite(later, 'Dora'));
	await early.shows('The meeting has not begun');
	const stranger = await comes('Emil', new URL(`${page}/${now.room}`));
	await stranger.shows('a token is needed');
	const wrong = await comes('Fred', new URL(`${page}/${now.room}?invitation=nonsense`));
	await wrong.shows('no longer good');
	return {};
}

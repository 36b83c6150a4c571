// The page's gate without a browser: when the bridge carries the media of two.
import assert from 'node:assert/strict';
import test from 'node:test';

const { Gate } = await import(new URL('../../../portal/page/static/js/gate.js', import.meta.url));

const never = new Promise(() => {});

// enter gives the gate of somebody who is in a room with such members, for as long as a test runs; connections never come about.
function enter(t, me, ...members) {
	const room = { me, address: `room@muc.example/${me}`, peer: (id) => `room@muc.example/${id}`, iq: () => never, members: new Map(members.map((m) => [m.id, m])) };
	const gate = new Gate({ room, ice: () => never, media: { outgoing: () => null }, preferred: [] });
	t.after(() => gate.close());
	gate.members();
	return gate;
}

const person = (id, direct) => ({ id, direct, sources: [], codecs: [] });

test('two browsers: the lower id calls, and the bridge waits a moment', (t) => {
	for (const [me, initiator] of [['1a', true], ['3c', false]]) {
		const gate = enter(t, me, person('2b', true));
		assert.equal(gate.call?.initiator, initiator);
		assert.equal(gate.bridge.carrying, false);
	}
});

test('who cannot be called is not called: the bridge carries at once', (t) => {
	for (const me of ['1a', '3c']) {
		const gate = enter(t, me, person('2b', false));
		assert.equal(gate.call, undefined);
		assert.equal(gate.bridge.carrying, true);
	}
});

test('a call that is refused before the bridge had to help out: the bridge carries', (t) => {
	const gate = enter(t, '1a', person('2b', true));
	gate.call.channel.dispatchEvent(Object.assign(new Event('end'), { by: 'them', reason: 'service-unavailable' }));
	assert.equal(gate.call, undefined);
	assert.equal(gate.bridge.carrying, true);
});

test('of three one is left who cannot be called: the bridge goes on', (t) => {
	const gate = enter(t, '1a', person('2b', true), person('3c', false));
	assert.equal(gate.bridge.carrying, true);
	gate.room.members.delete('2b');
	gate.members();
	assert.equal(gate.call, undefined);
	assert.equal(gate.bridge.carrying, true);
});

// Invitations to meetings: what stands behind ?invitation= is given to the portal for a token that opens the room, which lasts for
// minutes and is asked for whenever the stream is opened.

/** Refusal is what the portal says to an invitation that opens nothing now. */
export class Refusal extends Error {}

/** admit returns a token. A Refusal says why there is none; with other errors the portal was not reached. */
export async function admit(invitation, location, get = fetch) {
	const answer = await get(new URL('/api/v1/invitations/token', location.href), {
		method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ invitation }), signal: AbortSignal.timeout(15_000), credentials: 'omit',
	});
	const body = await answer.json();
	if (answer.ok && typeof body?.token === 'string') return body.token;
	if (![403, 404, 422].includes(answer.status)) throw new Error(`the portal says ${answer.status}`);
	switch (answer.status === 403 && body?.code) {
		case 'meeting.early':
			throw new Refusal('The meeting has not begun: the invitation opens the room a quarter of an hour before.');
		case 'meeting.over':
			throw new Refusal('The meeting is over.');
		case false: // there is no such invitation
			throw new Refusal('The invitation is no longer good. Ask whoever sent it for a new one.');
		default: // such as a connection without TLS
			throw new Refusal(`The server does not take the invitation: ${body?.detail ?? 'it does not say why'}.`);
	}
}

// What the RoomServer door answers, in words. Its own texts are for programs of long ago, slips included.

/** tokenCodes are the results that another token may help with. */
export const tokenCodes = new Set([13, 14, 15]);

/** resultProblem says why a request was refused: {result, desc} as the door gives them, by whom it was asked. */
export function resultProblem({ result, desc = '' }, { uid = '', token = '' } = {}) {
	switch (Number(result)) {
		case 1: {
			const most = /(\d+)\s*$/.exec(desc)?.[1];
			return most ? `The room is full: no more than ${most} may be in it.` : 'The room is full.';
		}
		case 2:
			return 'The server does not know you in this room any more, or the other one has left.';
		case 3:
			return 'The server did not understand what was entered: use a shorter room number or name, without special characters.';
		case 4:
			return 'The connection to the server was lost.';
		case 5:
			return 'There is no such room any more.';
		case 6:
			return 'The other one is not in the room any more.';
		case 7:
			return 'The server cannot be reached.';
		case 8:
			return 'No relay server has room for another connection: try again later.';
		case 9:
			return 'The relay server does not work: no path to the other one was found.';
		case 10:
			return 'No microphone was found: you can watch and listen.';
		case 11:
			return `This page has failed${desc ? `: ${desc}` : '.'}`;
		case 12:
			return uid ? `Somebody is in this room as “${uid}” already.` : 'Somebody is in this room with that id already.';
		case 13:
			return token ? 'The server does not accept this token: ask for another one.' : 'This server lets nobody in without a token. Paste yours.';
		case 14:
			return 'The token has expired: ask for another one.';
		case 15:
			return token ? 'You are not allowed in this room: the token is for another room, another user or another way in.' : 'You are not allowed in this room.';
		default:
			return `The server has refused it (${result})${desc ? `: ${desc}` : '.'}`;
	}
}

/** loginProblem says why login was refused; its results are numbered on their own. */
export function loginProblem({ result, desc = '' }, { appId, host }) {
	switch (Number(result)) {
		case 1:
			return `The server does not know the application “${appId}”: a link to this page can name it with ?appId=.`;
		case 2:
			return `The application “${appId}” may not be used from ${host}.`;
		case 3:
			return 'The server did not understand the login.';
		default:
			return `The server has refused the login (${result})${desc ? `: ${desc}` : '.'}`;
	}
}

/** kickProblem says why the server has put somebody out. */
export function kickProblem(desc) {
	if (/token/i.test(desc ?? '')) return 'Your permission for this room has run out: enter again with another token.';
	return `You were put out of the room${desc ? `. The server says: “${desc}”` : '.'}`;
}

/** gateWords say how media go in a room. */
export function gateWords(members, gate) {
	if (members === 0) return 'Connected to the server';
	return gate === 0 ? 'Directly, from browser to browser' : 'By way of the bridge of this server';
}

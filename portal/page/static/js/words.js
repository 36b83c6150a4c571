// What happens, in words. Every step that can fail has a sentence that says why and, where there is something to do, what.

/** mediaProblem says why a camera, microphone or screen cannot be used. */
export function mediaProblem(kind, error) {
	if (!error) return '';
	const what = { audio: 'microphone', video: 'camera', screen: 'screen' }[kind];
	const The = `The ${what}`;
	switch (error.name) {
		case 'NotAllowedError':
		case 'SecurityError':
			return `${The} is not allowed: permit it beside the address bar of your browser.`;
		case 'NotFoundError':
		case 'OverconstrainedError':
			return `No ${what} was found.`;
		case 'NotReadableError':
		case 'AbortError':
			return `${The} is in use by another program, or was unplugged.`;
		case 'NotSupportedError':
			return `This browser cannot share the ${what}.`;
		case 'InsecureContextError':
			return `Camera and microphone need a page with https, or on this computer.`;
		default:
			return `${The} does not work: ${error.message || error.name}`;
	}
}

/** streamProblem says what is wrong with the connection to the server. */
export function streamProblem(reason) {
	if (!reason) return '';
	const said = reason.text ? ` The server says: “${reason.text}”` : '';
	switch (reason.kind) {
		case 'login':
			if (reason.condition === 'no-auth-mech') return 'This server lets nobody in without an account.';
			return `The server has refused the login.${said || ' Your link may be too old: ask for a new one.'}`;
		case 'pass':
			return reason.text;
		case 'lost':
			if (reason.condition === 'system-shutdown') return 'The server is being restarted.';
			if (reason.condition === 'conflict') return 'This session was opened somewhere else.';
			return 'The connection to the server was lost.';
		default:
			return 'The server cannot be reached.' + (reason.text ? ` (${reason.text})` : '');
	}
}

/** entryProblem says why the room did not let us in; ask names what the user could give: "password" or "name". */
export function entryProblem(step, error) {
	const said = error.text && error.text !== error.condition ? ` The server says: “${error.text}”` : '';
	if (step === 'conference') {
		switch (error.condition) {
			case 'not-authorized':
				return { text: 'To open this room you need an account or a link with a permission.' + said };
			case 'timeout':
				return { text: 'The part of the server that leads conferences does not answer.' };
			case 'service-unavailable':
			case 'remote-server-not-found':
			case 'item-not-found':
				return { text: 'This server cannot lead conferences at the moment.' + said };
			default:
				return { text: `The server has refused the conference (${error.condition}).` + said };
		}
	}
	const inside = (name) => error.element?.kids.some((k) => k.name === name);
	switch (error.condition) {
		case 'not-authorized':
			return { text: 'This room has a password.', ask: 'password' };
		case 'forbidden':
			return { text: 'You have been banned from this room.' + said };
		case 'registration-required':
			return { text: 'This room is for its members only: somebody inside has to let you in.' + said };
		case 'service-unavailable':
			return { text: 'This room is full.' + said };
		case 'conflict':
			return { text: 'Your place in the room is still taken. It will be free in a minute.' };
		case 'item-not-found':
			return { text: 'This room is locked, or does not exist.' + said };
		case 'not-acceptable':
			if (inside('displayname-required')) return { text: 'This room wants to know your name.', ask: 'name' };
			return { text: 'The room does not take you in.' + said };
		case 'not-allowed':
			return { text: 'You are not allowed to open or enter this room.' + said };
		case 'resource-constraint':
			return { text: 'The server is busy, or has had too many requests from here. Try again in a moment.' };
		case 'timeout':
			return { text: 'The room does not answer.' };
		default:
			return { text: `The room did not let you in (${error.condition}).` + said };
	}
}

/** outWords says why we are out of the room. */
export function outWords(how) {
	const by = how.by ? ` by ${how.by}` : '';
	const why = how.reason ? ` Reason: “${how.reason}”` : '';
	switch (how.kind) {
		case 'kicked': return `You were removed from the room${by}.${why}`;
		case 'banned': return `You were banned from the room${by}.${why}`;
		case 'destroyed': return `The room was closed.${why}`;
		case 'shutdown': return 'The server is being stopped. Try again in a moment.';
		case 'removed': return `You may no longer be in this room.${why}`;
		case 'vanished': return 'The server thought that you had gone.';
		default: return `You are out of the room.${why}`;
	}
}

/** leftWords says how another member went. */
export function leftWords(name, how) {
	switch (how?.kind) {
		case 'kicked': return `${name} was removed`;
		case 'banned': return `${name} was banned`;
		case 'vanished': return `${name} has lost the connection`;
		default: return `${name} has left`;
	}
}

/** callWords is the state of the call in one line; why says more where it failed. */
export function callWords({ state, why, path, name, initiator, policy, relayOffered, relays, iceError }) {
	switch (state) {
		case 'waiting':
			return { text: `Waiting for ${name} to call…`, tone: 'busy' };
		case 'connecting':
			return { text: initiator ? `Calling ${name}…` : `Connecting to ${name}…`, tone: 'busy' };
		case 'mending':
			return { text: 'The path was lost; looking for another…', tone: 'warn' };
		case 'connected': {
			if (!path) return { text: 'Connected', tone: 'good' };
			if (!path.relay) return { text: 'Connected directly', tone: 'good' };
			const by = path.local === 'relay' && path.protocol ? ` (${path.protocol.toUpperCase()})` : '';
			if (policy === 'relay') return { text: `Connected through the relay${by}`, tone: 'good' };
			return { text: `The other side cannot be reached directly; using the relay${by}`, tone: 'good' };
		}
		case 'failed':
			return { text: failedWords({ why, name, policy, relayOffered, relays, iceError }), tone: 'bad', again: true };
		default:
			return { text: '', tone: 'busy' };
	}
}

function failedWords({ why, name, policy, relayOffered, relays, iceError }) {
	if (why === 'silence') return `${name} is here, but does not call.`;
	if (why === 'description') return `${name}'s device and this one do not understand each other.`;
	let because = '';
	if (!relayOffered) because = ' This server offers no relay that could help.';
	else if (relays === 0) because = ` The relay does not answer${iceError?.errorCode ? ` (error ${iceError.errorCode}${iceError.errorText ? ': ' + iceError.errorText.replace(/\.$/, '') : ''})` : ''}.`;
	else if (policy !== 'relay') because = ' The relay was tried, too.';
	return `No way was found to ${name}.${because}`;
}

/** endedWords says why a call was not taken or ended, empty if nobody has to know. */
export function endedWords(by, reason, name) {
	if (by === 'us') return '';
	switch (reason) {
		case 'busy':
		case 'resource-constraint':
			return `${name} is in another call.`;
		case 'decline': return `${name} does not take the call.`;
		case 'service-unavailable':
		case 'feature-not-implemented': return `${name}'s program cannot be called.`;
		case 'connectivity-error': return `The connection to ${name} has failed.`;
		default: return '';
	}
}

/** bridgeWords is the state of the way through the bridge; instead is true where the direct way has failed. */
export function bridgeWords(state, instead) {
	switch (state) {
		case 'connected': return { text: instead ? 'The other side cannot be reached directly; using the bridge' : 'Connected through the bridge', tone: 'good' };
		case 'mending': return { text: 'The path to the bridge was lost; looking for another…', tone: 'warn', again: true };
		default: return { text: 'Connecting to the bridge…', tone: 'busy' };
	}
}

/** noBridge is what everybody in a room of three is told on a server without a bridge. */
export const noBridge = 'Rooms of three and more are not available on this server: you can read and write in the chat, and take part when only one other person is left.';

/**
 * whyWords says why a picture comes as it does. wished is the height in pixels that this page asks for, high that of what
 * comes; hidden that the page is in the background; reduced the height that the connection has room for, 0 for none.
 */
export function whyWords({ muted, screen, direct, wished, hidden, forwarded, high, playing, reduced }) {
	if (muted) return screen ? 'not shared' : 'camera off';
	if (direct) return high ? 'directly from the other browser' : 'waiting for the first picture';
	if (hidden) return 'this page is in the background';
	if (wished === 0 || wished === undefined) return 'not visible here';
	if (reduced === 0) return 'paused: your connection has no room for it';
	if (!playing || !forwarded) return 'the bridge does not send it yet';
	if (!high) return 'waiting for a key frame';
	if (reduced > 0) return 'your connection has no room for more';
	if (high > wished) return screen ? 'a screen comes in one size' : 'the smallest that there is';
	if (wished < 2 * high && wished <= 360) return 'small tile';
	return wished >= 2 * high ? 'the sender has no more' : 'fits the tile';
}

/** troubleWords say whose connection is bad, and where; empty if it is not. */
export function troubleWords(part, own) {
	if (part === 'bridge') return 'The server is too busy at the moment.';
	if (part === 'relay') return own ? 'The server’s relay, by which your connection comes, drops a part of what it carries.' : 'the relay on their way drops a part';
	if (own) return { __proto__: null, uplink: 'Your connection loses what you send.', downlink: 'Your connection is too slow, or loses what comes.' }[part] ?? '';
	return part === 'uplink' ? 'bad connection on their side' : '';
}

/** rateWords are words for bits per second. */
export const rateWords = (bits) => (bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bits / 1000)} kbit/s`);

// What the page knows before it talks to anybody: the server's addresses from /page.json, the room from the path, the
// token from ?jwt=, and switches behind the # of the link, written as in Jitsi: #config.key=value&config.key=value.

/** switches are the settings that a link may carry. Everything else behind the # is ignored. */
const switches = {
	iceTransportPolicy: (v) => (v === 'relay' ? 'relay' : 'all'), // "relay": only by way of the TURN server
	turnTransport: (v) => (v === 'udp' || v === 'tcp' ? v : undefined), // only such TURN servers
	resolution: (v) => Math.min(2160, Math.max(90, Number(v) || 720)), // height of the camera's picture, in pixels
	videoCodec: (v) => (['av1', 'vp9', 'vp8', 'h264'].includes(v.toLowerCase()) ? v.toLowerCase() : undefined), // preferred by the bridge's senders
	startWithAudioMuted: (v) => v === 'true',
	startWithVideoMuted: (v) => v === 'true',
	skipLobby: (v) => v === 'true', // enter with the name of last time, without asking
};

/** readSwitches parses the part of a link behind #. */
export function readSwitches(hash) {
	const found = { iceTransportPolicy: 'all', resolution: 720 };
	for (const [key, value] of new URLSearchParams(String(hash).replace(/^#/, ''))) {
		const name = key.replace(/^config\./, '');
		if (key.startsWith('config.') && Object.hasOwn(switches, name)) found[name] = switches[name](value.replace(/^"|"$/g, ''));
	}
	return found;
}

/** defaults are the addresses of a server that says nothing else. */
export function defaults(location) {
	const domain = location.hostname.replace(/^\[|\]$/g, '') || 'localhost';
	return { domain, muc: `muc.${domain}`, focus: `focus.${domain}`, websocket: '/xmpp-websocket' };
}

/** serverConfig asks the server for its addresses; what it leaves out is filled in. */
export async function serverConfig(location) {
	const config = defaults(location);
	try {
		const answer = await fetch('/page.json', { cache: 'no-store', headers: { Accept: 'application/json' } });
		if (answer.ok) {
			const said = await answer.json();
			if (typeof said.domain === 'string') Object.assign(config, { domain: said.domain, muc: `muc.${said.domain}`, focus: `focus.${said.domain}` });
			for (const key of ['muc', 'focus', 'websocket']) if (typeof said[key] === 'string') config[key] = said[key];
		}
	} catch {
		// The page works without; if the server is gone, the connection will say so in words.
	}
	return config;
}

/** websocketURL is where the XMPP stream is opened (RFC 7395): with the room for load balancers, the token, and the session to resume. */
export function websocketURL(config, location, { room, token, previous }) {
	const url = new URL(config.websocket, location.href);
	url.protocol = url.protocol.replace(/^http/, 'ws');
	url.hash = '';
	if (room) url.searchParams.set('room', room);
	if (token) url.searchParams.set('token', token);
	if (previous) url.searchParams.set('previd', previous);
	return url.href;
}

// The bridge channel (spec: bridge channel): JSON messages with a colibriClass, beside the media. It is opened again when it
// is lost, and then says again what the bridge has to know.

const pauses = { least: 1000, most: 60_000 };
const expired = 1001; // the endpoint has gone: there is nothing to come back to

/** channelURL is where the channel of an offer is found: always at the server that the page is from, whatever name it gives itself. */
export function channelURL(offered, location) {
	let url;
	try {
		url = new URL(offered);
	} catch {
		return undefined;
	}
	if (!/^wss?:$/.test(url.protocol) || !url.pathname.startsWith('/colibri-ws/')) return undefined;
	const here = new URL(url.pathname + url.search, location.href);
	here.protocol = here.protocol.replace(/^http/, 'ws');
	return here.href;
}

/** BridgeChannel is open from open to close. Events: "open"; "message" with body, the object that has come. */
export class BridgeChannel extends EventTarget {
	constructor(url) {
		super();
		this.url = url;
		this.states = new Map(); // what is said again after each opening: key to message
		this.pause = pauses.least;
		this.onOnline = () => this.again();
		globalThis.addEventListener?.('online', this.onOnline);
	}

	open() {
		const socket = new WebSocket(this.url);
		this.socket = socket;
		socket.onopen = () => {
			this.pause = pauses.least;
			for (const message of this.states.values()) this.send(message);
			this.dispatchEvent(new Event('open'));
		};
		socket.onmessage = ({ data }) => {
			let body;
			try {
				body = JSON.parse(data);
			} catch {
				return;
			}
			if (typeof body?.colibriClass === 'string') this.dispatchEvent(Object.assign(new Event('message'), { body }));
		};
		socket.onclose = ({ code }) => {
			if (this.socket !== socket || this.closed || code === expired) return;
			this.retry = setTimeout(() => this.open(), this.pause);
			this.pause = Math.min(pauses.most, this.pause * 2);
		};
	}

	/** again opens the channel anew: the network has changed, and the socket may be dead without knowing it. */
	again() {
		if (this.closed || !this.socket) return;
		clearTimeout(this.retry);
		this.pause = pauses.least;
		const former = this.socket;
		this.open();
		former.close();
	}

	/** send sends a message if the channel is open. */
	send(message) {
		if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
	}

	/** say sends a message now and after each opening, until another one of the same key takes its place. */
	say(key, message) {
		this.states.set(key, message);
		this.send(message);
	}

	close() {
		this.closed = true;
		globalThis.removeEventListener?.('online', this.onOnline);
		clearTimeout(this.retry);
		this.socket?.close();
	}
}

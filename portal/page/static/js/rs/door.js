// The connection to the door: a WebSocket that is opened again when it is lost. Times are those of the web SDK 1.0.0.

const beatEvery = 5_000; // ms between two keepLive
const silence = 14_000; // ms without an answer, until the connection is made anew
const lost = 32_000; // ms without an answer, until that is given up
const pause = 1_000; // ms between two attempts
const attempts = 10;
const attempt = 6_000; // ms that one may take: a network that swallows everything says nothing

/**
 * Door calls greet each time that it has a connection, on which a join goes out; beat every five seconds; take with each message of
 * the server; away when it has lost the connection and looks for another; over when it has given up.
 */
export class Door {
	#socket = null;
	#asked = 0; // when what is not answered yet was asked first; 0: nothing
	#heard = 0; // when something was last heard
	#failed = 0; // attempts in vain
	#closed = false;
	#timers = { again: 0, attempt: 0, beat: 0 };

	constructor(url, on, Socket = WebSocket) {
		this.url = url;
		this.on = on;
		this.Socket = Socket;
	}

	get open() { return this.#socket?.readyState === 1; }

	start() {
		this.#heard = Date.now();
		this.#timers.beat = setInterval(() => this.#beat(), beatEvery / 5);
		this.#connect();
	}

	#connect() {
		if (this.#closed) return;
		const s = new this.Socket(this.url);
		this.#socket = s;
		this.#asked = 0;
		this.beaten = Date.now();
		this.#timers.attempt = setTimeout(() => this.#drop(s), attempt);
		s.onopen = () => {
			clearTimeout(this.#timers.attempt);
			this.on.greet();
		};
		s.onmessage = ({ data }) => {
			this.#asked = 0;
			this.#failed = 0;
			this.#heard = Date.now();
			let m;
			try {
				m = JSON.parse(data);
			} catch {
				return; // no message of this protocol
			}
			this.on.take(m);
		};
		s.onclose = () => this.#drop(s);
	}

	// drop gives a connection up and makes another one a second later.
	#drop(s) {
		if (this.#socket !== s || this.#closed) return;
		clearTimeout(this.#timers.attempt);
		s.onopen = s.onmessage = s.onclose = null;
		s.close();
		this.#socket = null;
		if (++this.#failed > attempts || Date.now() - this.#heard > lost) {
			this.close();
			this.on.over();
			return;
		}
		this.on.away();
		this.#timers.again = setTimeout(() => this.#connect(), pause);
	}

	#beat() {
		if (!this.open) return;
		const now = Date.now();
		if (this.#asked && now - this.#asked > silence) {
			this.#drop(this.#socket);
			return;
		}
		if (now - this.beaten < beatEvery - 50) return;
		this.beaten = now;
		this.on.beat();
	}

	/** send sends a message if there is a connection. asks says that an answer is due. */
	send(message, asks) {
		if (!this.open) return;
		if (asks && !this.#asked) this.#asked = Date.now();
		this.#socket.send(JSON.stringify(message));
	}

	/** close ends it for good; nothing is called any more. */
	close() {
		this.#closed = true;
		for (const t of Object.values(this.#timers)) clearTimeout(t);
		if (this.#socket) {
			this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
			this.#socket.close();
		}
	}
}

// How often something may be asked for: so many times in a while, and each some time after the one before.

/** Pace says how long to wait before one asks again. Times are in ms. */
export class Pace {
	constructor({ apart, most, within }) {
		Object.assign(this, { apart, most, within, asked: [] });
	}

	/** wait is how long it takes until one may ask. */
	wait(now = Date.now()) {
		this.asked = this.asked.filter((at) => now - at < this.within);
		const next = this.asked.length === 0 ? now : this.asked.at(-1) + this.apart;
		const room = this.asked.length < this.most ? now : this.asked.at(-this.most) + this.within;
		return Math.max(0, next - now, room - now);
	}

	/** ask counts one. */
	ask(now = Date.now()) {
		this.asked.push(now);
	}
}

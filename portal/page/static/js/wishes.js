// What we want of each picture: as many pixels as its tile has, and none of what nobody sees. The tiles tell their sizes;
// the wishes go to the bridge when they have settled for a moment.

const settle = 150; // ms
const step = 20; // pixels: a tile that changes by less is no other wish
const margin = 4 / 3; // a picture may be that much larger than its tile rather than be enlarged

/**
 * wishFor returns the height of picture that a tile wants, in pixels. size is the tile's in CSS pixels, ratio the screen's
 * device pixels per CSS pixel; a picture that is cut to fill its tile (cover) may have to be higher than it.
 */
export function wishFor({ width, height }, { ratio = 1, contain = false } = {}) {
	if (!(width > 0) || !(height > 0)) return 0;
	const ofWidth = width * 9 / 16;
	const high = (contain ? Math.min(height, ofWidth) : Math.max(height, ofWidth)) * ratio * margin;
	return Math.min(2160, Math.ceil(high / step) * step);
}

/** Wishes collects them from the tiles. send(constraints) is called with ReceiverVideoConstraints. */
export class Wishes {
	constructor(send) {
		this.send = send;
		this.tiles = new Map(); // element to {source, contain, width, height, seen, stage}
		this.wished = new Map(); // source to height
		this.sizes = new ResizeObserver((entries) => {
			for (const { target, contentRect } of entries) Object.assign(this.tiles.get(target) ?? {}, { width: contentRect.width, height: contentRect.height });
			this.#soon();
		});
		this.views = new IntersectionObserver((entries) => {
			for (const { target, isIntersecting } of entries) Object.assign(this.tiles.get(target) ?? {}, { seen: isIntersecting });
			this.#soon();
		});
		this.onVisibility = () => this.#soon();
		document.addEventListener('visibilitychange', this.onVisibility);
		this.#soon();
	}

	/** watch follows the size of a tile that shows a source; stage is true for one that is shown large. */
	watch(element, { source, contain, stage }) {
		const known = this.tiles.get(element);
		if (known && known.source === source && known.contain === contain && known.stage === stage) return;
		this.tiles.set(element, { ...known, source, contain, stage });
		if (!known) {
			this.sizes.observe(element);
			this.views.observe(element);
		}
		this.#soon();
	}

	/** forget stops following a tile. */
	forget(element) {
		this.tiles.delete(element);
		this.sizes.unobserve(element);
		this.views.unobserve(element);
		this.#soon();
	}

	#soon() {
		this.timer ??= setTimeout(() => this.#tell(), settle);
	}

	#tell() {
		this.timer = undefined;
		const { hidden } = document;
		this.wished = new Map();
		const stage = [];
		for (const tile of this.tiles.values()) {
			const wish = hidden || tile.seen === false ? 0 : wishFor(tile, { ratio: globalThis.devicePixelRatio, contain: tile.contain });
			this.wished.set(tile.source, Math.max(wish, this.wished.get(tile.source) ?? 0));
			if (tile.stage) stage.push(tile.source);
		}
		const constraints = {
			lastN: -1, defaultConstraints: { maxHeight: 0 }, onStageSources: stage, selectedSources: [],
			constraints: Object.fromEntries([...this.wished].map(([source, maxHeight]) => [source, { maxHeight }])),
		};
		const said = JSON.stringify(constraints);
		if (said === this.said) return;
		this.said = said;
		this.send(constraints);
	}

	close() {
		clearTimeout(this.timer);
		this.sizes.disconnect();
		this.views.disconnect();
		document.removeEventListener('visibilitychange', this.onVisibility);
	}
}

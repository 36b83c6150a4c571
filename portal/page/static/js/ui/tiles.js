// The pictures of a call: one large with oneself in the corner, a grid that follows who speaks, or a stage with a strip.
import { Component, createRef, html } from './html.js';
import { Icon } from './icons.js';
import { Face, Video } from './video.js';
import { capacity, layout, seat, tilesOf } from '../seats.js';

const streams = new WeakMap();
/** streamOf is a stream of one track, always the same. */
export const streamOf = (track) => {
	if (!track) return undefined;
	if (!streams.has(track)) streams.set(track, new MediaStream([track]));
	return streams.get(track);
};

/** Tile is the picture of another member, or of the screen that it shares. */
class Tile extends Component {
	constructor(props) {
		super(props);
		this.ref = createRef();
	}

	componentDidMount() { this.#watch(); }

	componentDidUpdate() { this.#watch(); }

	componentWillUnmount() { this.wishes?.forget(this.ref.current ?? this.element); }

	// The size of the tile is what is asked of the bridge.
	#watch() {
		const { session, tile, stage } = this.props;
		if (this.wishes && this.wishes !== session.wishes) this.wishes.forget(this.element);
		this.wishes = session.wishes;
		this.element = this.ref.current;
		this.wishes?.watch(this.element, { source: tile.key, contain: tile.screen, stage: Boolean(stage) });
	}

	#playing = () => this.setState({ playing: true });

	render({ tile, session, speaking, stage, solo, onPin }, { playing }) {
		const { member, screen, source } = tile;
		const track = source.muted ? undefined : session.track(source);
		const paused = !source.muted && session.gate && !session.gate.direct && session.gate.bridge.reduced.get(tile.key) === 0;
		const shown = Boolean(track && playing && !paused);
		const what = screen ? `${member.name}’s screen` : member.name;
		return html`<div ref=${this.ref} data-source=${tile.key} class=${`tile remote ${screen ? 'screen' : ''} ${speaking ? 'speaking' : ''}`}>
			<${Video} stream=${streamOf(track)} muted contain=${screen} hidden=${!shown} onPlaying=${this.#playing} label=${what} />
			${shown ? null : html`<div class="blank"><${Face} name=${member.name} id=${member.id} /><p>${source.muted ? 'Camera is off' : paused ? 'Paused: your connection is slow' : ''}</p></div>`}
			<p class="tag">${screen || member.audio ? null : html`<${Icon} name="micOff" /><span class="say">muted: </span>`}${screen ? html`<${Icon} name="screen" />` : null}<bdi>${member.name}</bdi>${screen ? html` <span>shares the screen</span>` : null}
				${speaking ? html`<span class="say">, speaks</span>` : null}</p>
			${solo ? null : html`<button type="button" class="pin" aria-pressed=${String(Boolean(stage))} aria-label=${stage ? `Back from ${what} to all` : `Show ${what} large`} onClick=${() => onPin(stage ? null : tile.key)}><${Icon} name=${stage ? 'grid' : 'fill'} /></button>`}
		</div>`;
	}
}

/** Self is one's own picture. */
export const Self = ({ media, name, me, overlay }) => {
	const track = media.track.video;
	return html`<div class=${`tile self ${overlay ? 'overlay' : ''}`}>
		${track ? html`<${Video} key=${track.id} stream=${streamOf(track)} muted mirrored label="You" />`
			: html`<div class="blank"><${Face} name=${name} id=${me} small=${overlay} /></div>`}
		<p class="tag">${media.on.audio && media.track.audio ? null : html`<${Icon} name="micOff" />`}You${media.track.screen ? html` <${Icon} name="screen" /><span class="say">share the screen</span>` : null}</p>
	</div>`;
};

/** Sounds plays what is heard. */
const Sounds = ({ session, speaker, onBlocked }) => html`<div class="sounds" hidden>
	${session.sounds().map((track) => html`<${Video} key=${track.id} sound stream=${streamOf(track)} speaker=${speaker} onBlocked=${onBlocked} />`)}
</div>`;

/** Tiles shows everybody. pinned is the key of the tile that the user wants large, null for the grid, undefined for "as it comes". */
export class Tiles extends Component {
	constructor(props) {
		super(props);
		this.ref = createRef();
		this.seated = [];
		this.spoken = new Map();
	}

	componentDidMount() {
		this.sizes = new ResizeObserver(([{ target }]) => this.setState({ area: { width: target.offsetWidth, height: target.offsetHeight } }));
		this.sizes.observe(this.ref.current);
		this.#style();
	}

	componentDidUpdate() { this.#style(); }

	componentWillUnmount() { this.sizes.disconnect(); }

	#style() {
		const { columns = 1, width = 0, height = 0 } = this.grid ?? {};
		for (const [key, value] of [['--columns', columns], ['--tile-width', `${width}px`], ['--tile-height', `${height}px`]]) this.ref.current.style.setProperty(key, value);
	}

	render({ view, session, media, name, pinned, onPin, onMore, onBlocked }, { area = { width: 0, height: 0 } }) {
		const tiles = tilesOf(session.talking());
		const speaker = view.speaker;
		if (speaker) this.spoken.set(`${speaker}-v0`, Date.now());
		const screen = tiles.findLast((t) => t.screen);
		const large = tiles.length < 2 ? undefined : tiles.find((t) => t.key === pinned) ?? (pinned === null ? undefined : screen);
		const one = (tile, more = {}) => html`<${Tile} key=${tile.key} tile=${tile} session=${session} speaking=${speaker === tile.member.id && !tile.screen && tile.member.audio} onPin=${onPin} ...${more} />`;
		const self = (overlay) => html`<${Self} key="self" media=${media} name=${name} me=${view.me} overlay=${overlay} />`;
		let kind = 'solo';
		let inside;
		this.grid = undefined;
		if (tiles.length < 2) {
			inside = [tiles.length ? one(tiles[0], { solo: true }) : null, self(true)];
		} else if (large) {
			kind = 'staged';
			inside = [html`<div key="large" class="large">${one(large, { stage: true })}</div>`,
				html`<div key="strip" class="strip" role="group" aria-label="The others" tabindex="0">${tiles.filter((t) => t !== large).map((t) => one(t))}${self(false)}</div>`];
		} else {
			kind = 'grid';
			const places = capacity(tiles.length + 1, area) - 1;
			this.seated = seat(this.seated, tiles.map((t) => t.key), Math.max(1, places), speaker && `${speaker}-v0`, this.spoken);
			const seated = this.seated.map((key) => tiles.find((t) => t.key === key));
			this.grid = layout(seated.length + 1, area);
			const left = tiles.length - seated.length;
			inside = [...seated.map((t) => one(t)), self(false),
				left > 0 ? html`<button key="more" type="button" class="plain more" onClick=${onMore}><${Icon} name="people" /> ${left} more</button>` : null];
		}
		return html`<div ref=${this.ref} class=${`tiles ${kind}`}>${inside}<${Sounds} session=${session} speaker=${media.chosen.speaker} onBlocked=${onBlocked} /></div>`;
	}
}

// Figures over time, drawn by uPlot. It draws on a canvas, so that colours are read from the style sheet, again when the theme changes.
import uPlot from '../../vendor/uPlot.js';
import { Component, createRef, html } from '../ui/html.js';

const height = 180;

export class Chart extends Component {
	place = createRef();

	componentDidMount() {
		this.#draw();
		this.sizes = new ResizeObserver(() => this.plot?.setSize({ width: this.#width(), height }));
		this.sizes.observe(this.place.current);
		this.themes = new MutationObserver(() => this.#draw());
		this.themes.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
		this.system = matchMedia('(prefers-color-scheme: dark)');
		this.system.addEventListener('change', this.#redraw);
	}

	componentWillUnmount() {
		this.sizes.disconnect();
		this.themes.disconnect();
		this.system.removeEventListener('change', this.#redraw);
		this.plot?.destroy();
	}

	componentDidUpdate(before) {
		if (before.names.join('\n') !== this.props.names.join('\n')) this.#draw();
		else this.plot.setData(this.props.data);
	}

	#redraw = () => this.#draw();

	#width() { return Math.max(200, this.place.current.clientWidth); }

	#draw() {
		this.plot?.destroy();
		const style = getComputedStyle(this.place.current);
		const [ink, line] = [style.getPropertyValue('color'), style.getPropertyValue('border-color')];
		const dark = getComputedStyle(document.documentElement).colorScheme === 'dark' || (document.documentElement.dataset.theme !== 'light' && this.system?.matches);
		const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: '12px sans-serif' };
		const { names, data, unit, most } = this.props;
		this.plot = new uPlot({
			width: this.#width(), height, legend: { show: names.length > 0, live: true }, cursor: { drag: { x: false, y: false } },
			scales: { y: { range: (_, low, high) => [0, Math.max(most, high * 1.1)] } },
			axes: [{ ...axis, space: 70 }, { ...axis, size: 56, values: (_, list) => list.map((v) => `${v}`) }],
			series: [{ label: 'Time' }, ...names.map((label, i) => ({
				label, width: 2, points: { show: false }, value: (_, v) => (v === null ? '–' : `${v.toFixed(v < 10 ? 1 : 0)} ${unit}`), stroke: `hsl(${(170 + i * 137) % 360} 60% ${dark ? 65 : 38}%)`,
			}))],
		}, data, this.place.current);
	}

	render({ title, unit }) {
		return html`<figure class="chart"><figcaption>${title} <small>${unit}</small></figcaption><div class="place" ref=${this.place} role="img" aria-label=${`${title}, drawn over time; the present figures are in the table of members`}></div></figure>`;
	}
}

import { html, render } from 'lit-html';
import uPlot from 'uplot';
import { dayName } from './format.ts';

export interface ChartSeries {
  readonly label: string;
  /** Names a colour in the style sheet: the property `--KIND` and the class of the swatch. */
  readonly kind: string;
  readonly values: readonly (number | null)[];
}

export interface ChartOptions {
  readonly label: string;
  /** True for stacked bars with the first series at the bottom, false for lines. */
  readonly stacked: boolean;
  /** Formats the axis labels; null to use the tooltip's format. */
  readonly axisFormat: ((value: number) => string) | null;
  /** Returns the upper end of the axis for the highest value. */
  readonly top: (highest: number) => number;
}

const height = 200;
const dark = matchMedia('(prefers-color-scheme: dark)');

/** A chart of values by day, in the colours of the page. */
export class DayChart {
  readonly element = document.createElement('div');
  readonly #tip = document.createElement('div');
  readonly #options: ChartOptions;
  #days: readonly number[] = [];
  #series: readonly ChartSeries[] = [];
  #format: (value: number) => string = String;
  #plot: uPlot | null = null;

  constructor(options: ChartOptions) {
    this.#options = options;
    this.element.className = 'plot';
    this.element.role = 'img';
    this.element.ariaLabel = `${options.label}; the table below has the numbers`;
    this.#tip.className = 'tip';
    this.#tip.hidden = true;
    dark.addEventListener('change', () => this.#draw());
    new ResizeObserver(() => {
      const width = this.element.clientWidth;
      if (this.#plot === null || width === 0) this.#draw();
      else if (width !== this.#plot.width) this.#plot.setSize({ width, height });
    }).observe(this.element);
  }

  show(
    days: readonly number[],
    series: readonly ChartSeries[],
    format: (value: number) => string,
  ): void {
    this.#format = format;
    // Redrawing unchanged data would lose the tooltip under the pointer.
    if (JSON.stringify([days, series]) === JSON.stringify([this.#days, this.#series])) return;
    this.#days = days;
    this.#series = series;
    this.#draw();
  }

  #draw(): void {
    this.#plot?.destroy();
    this.#plot = null;
    this.#tip.hidden = true;
    const width = this.element.clientWidth;
    if (width === 0 || this.#days.length === 0) return;
    this.#plot = new uPlot(this.#plotOptions(width), this.#stackedData(), this.element);
    this.#plot.over.append(this.#tip);
  }

  /** The top of each stack comes first, so that uPlot draws the lower parts over it. */
  #stackedData(): uPlot.AlignedData {
    const sums = this.#series.map((_, at) => this.#days.map((__, day) => this.#sum(at, day)));
    return [[...this.#days], ...sums.toReversed()];
  }

  #sum(upTo: number, day: number): number | null {
    const own = this.#series[upTo]?.values[day] ?? null;
    if (!this.#options.stacked) return own;
    const below = this.#series.slice(0, upTo).map(({ values }) => values[day] ?? 0);
    return below.reduce((sum, value) => sum + value, own ?? 0);
  }

  #plotOptions(width: number): uPlot.Options {
    const style = getComputedStyle(this.element);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const { stacked, axisFormat, top } = this.#options;
    const onAxis = axisFormat ?? this.#format;
    const axis: uPlot.Axis = {
      stroke: color('--muted'),
      font: `11px ${style.fontFamily}`,
      ticks: { show: false },
      grid: { stroke: color('--grid'), width: 1 },
    };
    const shape = (name: string): Partial<uPlot.Series> =>
      stacked
        ? { fill: color(name), width: 0, paths: bars, points: { show: false } }
        : {
            stroke: color(name),
            fill: `${color(name)}1f`,
            width: 2,
            points: { size: 5, fill: color(name), width: 0 },
          };
    return {
      width,
      height,
      legend: { show: false },
      padding: [12, 20, 0, 0],
      cursor: {
        y: false,
        drag: { x: false, y: false },
        sync: { key: 'days' },
        points: { show: !stacked, size: 9, width: 2 },
      },
      scales: {
        x: { time: false, range: (_, from, to) => [from - 43_200, to + 43_200] },
        y: { range: (_, __, highest) => [0, top(highest)] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 30,
          space: 64,
          splits: (plot) => splits(this.#days, plot.width / 72),
          values: (_, days) => days.map(dayName),
        },
        { ...axis, size: 64, space: 40, values: (_, values) => values.map(onAxis) },
      ],
      series: [
        {},
        ...this.#series
          .map((one) => ({ label: one.label, ...shape(`--${one.kind}`) }))
          .toReversed(),
      ],
      hooks: { setCursor: [(plot) => this.#moveTip(plot)] },
    };
  }

  /** Shows the values of the day under the pointer in a tooltip next to it. */
  #moveTip(plot: uPlot): void {
    const { idx, left } = plot.cursor;
    const day = typeof idx === 'number' ? this.#days[idx] : undefined;
    this.#tip.hidden = day === undefined || left === undefined || left < 0;
    if (this.#tip.hidden || day === undefined || typeof idx !== 'number') return;
    const format = this.#format;
    render(
      html`<strong>${dayName(day)}</strong> ${this.#series.map(({ label, kind, values }) => {
          const value = values[idx] ?? null;
          return html`<span
            ><i class=${`swatch ${kind}`}></i>${label}:
            ${value === null ? '–' : format(value)}</span
          >`;
        })}`,
      this.#tip,
    );
    const at = plot.valToPos(day, 'x');
    const room = plot.over.clientWidth - at;
    this.#tip.style.left = room > this.#tip.offsetWidth + 16 ? `${at + 10}px` : 'auto';
    this.#tip.style.right = room > this.#tip.offsetWidth + 16 ? 'auto' : `${room + 10}px`;
  }
}

const bars = uPlot.paths.bars?.({ size: [0.7, 28], radius: 0 });

function splits(days: readonly number[], maxLabels: number): number[] {
  const step = Math.max(1, Math.ceil(days.length / Math.max(2, maxLabels)));
  // Counts back from the last day, so that it always has a label.
  return days.filter((_, at) => (days.length - 1 - at) % step === 0);
}

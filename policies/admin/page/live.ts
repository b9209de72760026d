import { html, render, svg, type TemplateResult } from 'lit-html';
import type { Stats } from './api.ts';
import { bytes, count, duration, rate } from './format.ts';
import { known, share } from './parts.ts';
import { Rates } from './rates.ts';
import { root } from './section.ts';

const rates = new Rates();

export function showLive(stats: Stats): void {
  rates.add(stats, performance.now());
  render(
    html`<dl class="figures">
        ${figure('per-second', 'Requests per second', known(rates.perSecond, rate))}
        ${figure('minute-rate', 'Hit rate, last minute', share(rates.hitRate))}
        ${figure('joiners', 'Reading along', html`${count(stats.joiners)}`)}
        ${figure('buffered', 'Bodies held', html`${bytes(stats.bufferedBytes)}`)}
      </dl>
      ${sparkline()}`,
    root('live'),
  );
  root('about').textContent = `version ${stats.version} · up ${duration(stats.uptime)}`;
}

const figure = (id: string, label: string, value: TemplateResult) =>
  html`<div>
    <dt>${label}</dt>
    <dd data-figure=${id}>${value}</dd>
  </div>`;

/** The last minute, the newest at the right. */
function sparkline(): TemplateResult {
  const line = rates.line.filter(({ ago }) => ago <= 60);
  const most = Math.max(1, ...line.map(({ perSecond }) => perSecond));
  const points = line.map(
    ({ ago, perSecond }) =>
      [(60 - ago).toFixed(2), (29 - (27 * perSecond) / most).toFixed(2)] as const,
  );
  const path = points.map((point) => point.join(',')).join(' ');
  const area = `${points[0]?.[0] ?? 60},30 ${path} 60,30`;
  return html`<figure class="spark">
    <svg viewBox="0 0 60 30" preserveAspectRatio="none" aria-hidden="true">
      <line x1="0" y1="29.5" x2="60" y2="29.5"></line>
      ${
        points.length < 2
          ? svg``
          : svg`<polygon points=${area}></polygon><polyline points=${path}></polyline>`
      }
    </svg>
    <figcaption>
      <span>1 min ago</span
      ><span
        >peak
        ${known(line.length === 0 ? null : Math.max(...line.map((one) => one.perSecond)), rate)}/s</span
      ><span>now</span>
    </figcaption>
  </figure>`;
}

/** Says whether the numbers are of now. */
export function showReachable(reachable: boolean): void {
  render(
    reachable
      ? html`<span class="state good">Live</span>`
      : html`<span class="state bad">Not reachable, trying again</span>`,
    root('reachable'),
  );
}

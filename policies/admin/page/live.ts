import { html, render, svg, type TemplateResult } from 'lit-html';
import type { Stats } from './answers.ts';
import { ApiError } from './api.ts';
import { duration, percent, rate, timeOfDay } from './format.ts';
import { known, type View } from './parts.ts';
import { Rates } from './rates.ts';
import { root } from './section.ts';

const rates = new Rates();
let shownAt = 0;

/** Shows the current request rate and hit rate. */
export function showLive(stats: Stats): void {
  rates.add(stats, performance.now());
  shownAt = Date.now();
  root('live').classList.remove('old');
  render(
    html`<p class="now"><strong>Now:</strong> ${sentence()}</p>
      ${sparkline()}`,
    root('live'),
  );
  root('about').textContent = `version ${stats.version} · up ${duration(stats.uptime)}`;
}

function sentence(): View {
  const { perSecond, hitRate } = rates;
  if (perSecond === null) return html`counting the requests …`;
  const pace = html`<b data-figure="per-second">${rate(perSecond)}</b> requests a second.`;
  // A page opened just now has data of less than a minute.
  const since = rates.span < 58 ? duration(rates.span) : 'minute';
  if (hitRate === null) return html`${pace} None came in the last ${since}.`;
  return html`${pace} In the last ${since} the cache answered
    <b data-figure="minute-rate">${percent(hitRate)}</b> of them, at no cost.`;
}

/** Draws the request rate over the last minute, the newest on the right. */
function sparkline(): TemplateResult {
  const line = rates.line.filter(({ ago }) => ago <= 60);
  const highest = Math.max(1, ...line.map(({ perSecond }) => perSecond));
  const points = line.map(
    ({ ago, perSecond }) =>
      [(60 - ago).toFixed(2), (29 - (27 * perSecond) / highest).toFixed(2)] as const,
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
      <span>a minute ago</span
      ><span
        >at most
        ${known(line.length === 0 ? null : Math.max(...line.map((one) => one.perSecond)), rate)} a
        second</span
      ><span>now</span>
    </figcaption>
  </figure>`;
}

/** Shows whether the figures are live or, after an `error`, from when they are. */
export function showReachable(error: unknown): void {
  root('live').classList.toggle('old', error !== null);
  const what = error instanceof ApiError ? `Answers ${error.status}` : 'Not reachable';
  const since = shownAt === 0 ? '' : `; figures as of ${timeOfDay(shownAt)}`;
  render(
    error === null
      ? html`<span class="state good">Live</span>`
      : html`<span class="state bad">${`${what}, trying again${since}`}</span>`,
    root('reachable'),
  );
}

import { html, type TemplateResult } from 'lit-html';
import { ref } from 'lit-html/directives/ref.js';

/**
 * Marks the sides on which a region has hidden content, and makes it focusable for keyboard
 * scrolling if it has any.
 */
function mark(region: HTMLElement): void {
  const { scrollLeft, scrollWidth, clientWidth } = region;
  const hidden = scrollWidth - clientWidth;
  region.classList.toggle('more-left', scrollLeft > 1);
  region.classList.toggle('more-right', hidden - scrollLeft > 1);
  if (hidden > 1) region.tabIndex = 0;
  else region.removeAttribute('tabindex');
}

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const region = target.closest<HTMLElement>('.scroll');
    if (region !== null) mark(region);
  }
});
const watched = new WeakSet<Element>();

function watch(region: Element | undefined): void {
  if (!(region instanceof HTMLElement) || watched.has(region)) return;
  watched.add(region);
  region.addEventListener('scroll', () => mark(region), { passive: true });
  resized.observe(region);
  // The table may grow while its region does not.
  for (const child of region.children) resized.observe(child);
}

/** Wraps a table in a region that scrolls if it is too wide, also by keyboard, and shows so. */
export const scrolling = (label: string, table: TemplateResult) =>
  html`<div class="scroll" role="region" aria-label=${label} ${ref(watch)}>${table}</div>`;

// What the person does: filter, choose, open, move in time, by pointer and by key.
(() => {
  const { box } = ladder;
  const slider = by('moment');
  let chosen = null;

  const count = (n, one) => `${n.toLocaleString('en')} ${one}${n === 1 ? '' : 's'}`;
  const isOpen = () => !by('packet').hidden;

  function moment(t, scroll) {
    slider.value = t * 1000;
    slider.setAttribute('aria-valuetext', `${ms(t)} milliseconds`);
    tables.show(t, chosen);
    ladder.at(t, scroll);
  }

  function choose(it) {
    chosen = it;
    ladder.choose(it);
    if (it) moment(it.seen[it.seen.length - 1].t, false);
    if (it && isOpen()) packet.show(it, open, close);
  }

  function open(id) {
    const it = model.journeys[id];
    if (!ladder.shown().includes(it)) {
      by('text').value = by('flow').value = by('outcome').value = '';
      filter();
    }
    by('packet').hidden = false;
    choose(it);
  }

  function close() {
    packet.hide();
    box.focus({ preventScroll: true });
  }

  function filter() {
    const words = by('text').value.toLowerCase().split(/\s+/).filter(Boolean);
    const [flow, outcome] = [by('flow').value, by('outcome').value];
    const journeys = model.journeys.filter(it => (!flow || flowOf(it) === flow)
      && (!outcome || `${it.how} ${it.reason ?? ''}` === outcome || it.how === outcome) && words.every(word => hay(it).includes(word)));
    by('count').textContent = journeys.length === model.journeys.length
      ? count(journeys.length, 'packet') : `${journeys.length.toLocaleString('en')} of ${count(model.journeys.length, 'packet')}`;
    ladder.filtered(journeys);
    if (!journeys.includes(chosen)) {
      chosen = null;
      packet.hide();
      ladder.choose(null);
    } else ladder.choose(chosen);
  }

  // With many flows, as when ports are guessed, those between two addresses are one.
  const host = address => address.slice(0, address.lastIndexOf(':'));
  const ends = it => `${it.protocol} ${it.flow.join(' ↔ ')}`;
  const many = new Set(model.journeys.map(ends)).size > 40;
  const flowOf = it => many ? `${it.protocol} ${it.flow.map(host).sort().join(' ↔ ')}` : ends(it);

  function options(select, all, keys) {
    const counts = new Map();
    for (const key of model.journeys.flatMap(keys)) counts.set(key, (counts.get(key) ?? 0) + 1);
    const sorted = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, 200);
    select.replaceChildren(el('option', { value: '' }, all), ...sorted.map(([key, n]) => el('option', { value: key }, `${key.trim()} (${n})`)));
  }

  function move(by) {
    const all = ladder.shown();
    if (!all.length) return;
    const from = chosen ? all.indexOf(chosen) : by === -1 ? all.length : -1;
    choose(all[Math.min(all.length - 1, Math.max(0, from + by))]);
  }

  const KEYS = {
    ArrowDown: () => move(1), ArrowUp: () => move(-1), PageDown: () => move(ladder.page()), PageUp: () => move(-ladder.page()),
    Home: () => move(-Infinity), End: () => move(Infinity), ArrowLeft: () => { box.scrollLeft -= 60; }, ArrowRight: () => { box.scrollLeft += 60; },
    Enter: () => { if (chosen) { open(chosen.id); by('packet').focus({ preventScroll: true }); } },
  };

  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target === by('text');
    let done = true;
    if (event.key === 'Escape' && typing) { by('text').value = ''; filter(); box.focus(); }
    else if (event.key === 'Escape' && isOpen()) close();
    else if (typing && (event.key === 'Enter' || event.key === 'ArrowDown')) { box.focus(); if (!chosen) move(1); }
    else if (typing) done = false;
    else if (event.key === '/') { by('text').focus(); by('text').select(); }
    else if (event.key === '+' || event.key === '=') ladder.zoom(1.25);
    else if (event.key === '-') ladder.zoom(0.8);
    else if (KEYS[event.key] && [box, document.body].includes(event.target)) KEYS[event.key]();
    else done = false;
    if (done) event.preventDefault();
  });

  // A drag moves the ladder; a click chooses.
  let drag = null;
  box.addEventListener('pointerdown', event => {
    if (event.pointerType === 'mouse' && event.button === 0 && event.offsetX < box.clientWidth)
      drag = { x: event.clientX, y: event.clientY, left: box.scrollLeft, top: box.scrollTop, moved: false };
  });
  addEventListener('pointermove', event => {
    if (!drag) return;
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    drag.moved ||= Math.abs(x) + Math.abs(y) > 5;
    if (drag.moved) [box.scrollLeft, box.scrollTop] = [drag.left - x, drag.top - y];
  });
  let dragged = false;
  addEventListener('pointerup', () => { dragged = drag?.moved ?? false; drag = null; });
  box.addEventListener('click', event => {
    const row = event.target.closest('[data-id]');
    if (row && !dragged) { open(Number(row.dataset.id)); box.focus({ preventScroll: true }); }
    dragged = false;
  });
  box.addEventListener('wheel', event => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    ladder.zoom(event.deltaY < 0 ? 1.1 : 1 / 1.1);
  }, { passive: false });

  function cause() {
    const { cause, gaps, journeys } = model;
    const parts = [];
    if (cause) {
      parts.push(el('p', { class: 'cause' }, el('b', {}, cause.code), ` ${cause.text}`, cause.journey !== null
        && el('button', { type: 'button', id: 'shows', onclick: () => open(cause.journey) }, 'Show the packet')));
      if (cause.next) parts.push(el('p', {}, cause.next));
    } else {
      const delivered = journeys.filter(it => it.how === 'delivered').length;
      parts.push(el('p', {}, `${count(journeys.length, 'packet')}, ${delivered.toLocaleString('en')} of them delivered.`));
    }
    for (const { node, source, lost } of gaps)
      parts.push(el('p', { class: 'gap' }, `Incomplete: ${lost ?? 'some'} packets or events were missed at ${node} (${source}).`));
    by('cause').replaceChildren(...parts);
  }

  by('filter').addEventListener('submit', event => event.preventDefault());
  for (const id of ['text', 'flow', 'outcome']) by(id).addEventListener('input', filter);
  by('smaller').addEventListener('click', () => ladder.zoom(0.8));
  by('larger').addEventListener('click', () => ladder.zoom(1.25));
  slider.max = Math.ceil(model.last * 1000);
  slider.addEventListener('input', () => moment(slider.value / 1000, true));
  options(by('flow'), 'every flow', it => [flowOf(it)]);
  options(by('outcome'), 'every outcome', it => it.reason ? [it.how, `${it.how} ${it.reason}`] : [it.how]);
  by('ends').replaceChildren(...Object.entries(MARKS).map(([how, [mark, meaning]]) => el('span', { class: how }, el('b', {}, mark), ` ${meaning} `)));
  cause();
  filter();
  const start = model.cause?.journey ?? null;
  if (start === null) moment(model.last, false);
  else choose(model.journeys[start]);
})();

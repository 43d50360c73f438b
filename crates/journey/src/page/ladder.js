// The ladder: a column for each node, a row for each packet. Only the rows in view are drawn.
const ladder = (() => {
  const HEAD = 30;
  const box = by('scroll');
  const rows = el('g');
  const heads = el('g');
  const svg = el('svg', { role: 'presentation' }, rows, heads);
  by('all').append(svg);
  let [shown, chosen, zoom, moment, due] = [model.journeys, null, 1, null, false];
  let place = {};

  // How wide everything is. On a narrow screen the words are above the line, and not beside it.
  function measure() {
    const narrow = box.clientWidth < 700;
    const [left, right] = narrow ? [4, 4] : [Math.min(290, box.clientWidth * 0.3), 150];
    const room = (box.clientWidth - left - right) / model.nodes.length;
    const column = Math.max(room, 44) * Math.max(zoom, 1);
    const height = Math.round((narrow ? 40 : 25) * zoom);
    const width = Math.max(box.clientWidth, left + right + column * model.nodes.length);
    place = { narrow, left, right, column, height, width };
    by('all').style.cssText = `width:${width}px;height:${HEAD + shown.length * height}px`;
    svg.setAttribute('width', width);
    svg.setAttribute('height', box.clientHeight);
  }

  const x = node => place.left + (node + 0.5) * place.column;
  const top = n => HEAD + n * place.height - box.scrollTop;
  const port = address => address.slice(address.lastIndexOf(':') + 1);
  const cut = (text, width) => text.length * 6.6 > width ? text.slice(0, Math.max(1, Math.floor(width / 6.6) - 1)) + '…' : text;

  // The way of a packet as a line, and where its addresses were changed.
  function line(it, y) {
    const parts = [];
    const columns = it.seen.map(at => at.node).filter(node => node !== null);
    if (!columns.length) return parts;
    let [way, before, back] = [`M${x(columns[0])} ${y}`, columns[0], 0];
    for (let n = 1; n < columns.length; n++) {
      if (columns[n] === columns[n - 1]) continue;
      const turned = columns[n - 1] !== before && Math.sign(columns[n] - columns[n - 1]) !== Math.sign(columns[n - 1] - before);
      if (turned) way += `v${back = 4}`;
      before = columns[n - 1];
      way += `H${x(columns[n])}`;
    }
    parts.push(el('path', { d: way, class: 'way' }), el('circle', { cx: x(columns[0]), cy: y, r: 2.5, class: 'dot' }));
    for (let n = 1; n < it.seen.length; n++) {
      const [a, b] = [it.seen[n - 1], it.seen[n]];
      if (a.node !== b.node || a.node === null || (a.src === b.src && a.dst === b.dst)) continue;
      parts.push(el('circle', { cx: x(b.node), cy: y, r: 4, class: 'changed' }));
      const [then, now] = a.src !== b.src ? [a.src, b.src] : [a.dst, b.dst];
      if (port(then) !== port(now) && place.column > 90)
        parts.push(el('text', { x: x(b.node), y: y - 6, class: 'port' }, `${port(then)}→${port(now)}`));
    }
    const end = it.node ?? columns[columns.length - 1];
    const last = columns[columns.length - 1];
    const from = columns.findLast(node => node !== last) ?? last;
    const rightwards = end !== last ? end > last : last >= from;
    if (end !== last) parts.push(el('path', { d: `M${x(last)} ${y + back}H${x(end)}`, class: 'way' }));
    const mark = it.how === 'delivered' && !rightwards ? '◀' : (MARKS[it.how] ?? MARKS.unknown)[0];
    parts.push(el('text', { x: x(end), y: y + back + 5, class: 'mark' }, mark));
    return parts;
  }

  function row(it, n) {
    const [y, id] = [top(n), it.id];
    const { narrow, left, right, height, width } = place;
    const middle = y + (narrow ? height - 11 : height / 2);
    const selected = it === chosen;
    const [time, reason] = [ms(it.seen[0].t), it.reason ?? (it.how === 'delivered' ? '' : it.how)];
    const baseline = narrow ? y + 14 : middle + 4;
    const started = box.scrollLeft + 4;
    const words = narrow
      ? [el('text', { x: started, y: baseline, class: 'time' }, time),
        el('text', { x: started + 58, y: baseline }, cut(it.what, box.clientWidth - 66 - reason.length * 7)),
        el('text', { x: box.scrollLeft + box.clientWidth - 6, y: baseline, class: 'reason right' }, reason)]
      : [el('text', { x: 58, y: baseline, class: 'time right' }, time),
        el('text', { x: 68, y: baseline }, cut(it.what, left - 74)),
        el('text', { x: width - right + 8, y: baseline, class: 'reason' }, cut(reason, right - 10))];
    return el('g', {
      class: `row ${it.how}${selected ? ' chosen' : ''}${it.first !== null ? ' again' : ''}`, id: `row-${id}`, 'data-id': id,
      role: 'option', 'aria-selected': String(selected), 'aria-posinset': n + 1, 'aria-setsize': shown.length,
      'aria-label': `${time} milliseconds: ${it.what}, from ${model.nodes[it.seen[0].node]?.name}, ${it.how}: ${it.text}`,
    },
    el('rect', { x: 0, y, width, height }), el('title', {}, `#${id} ${it.seen[0].src} → ${it.seen[0].dst}: ${it.text}`),
    ...words, ...line(it, middle));
  }

  function draw() {
    due = false;
    const first = Math.max(0, Math.floor(box.scrollTop / place.height));
    const last = Math.min(shown.length, first + Math.ceil(box.clientHeight / place.height) + 1);
    const drawn = [];
    const lines = model.nodes.map((_, n) => el('line', { x1: x(n), x2: x(n), y1: HEAD, y2: box.clientHeight, class: 'column' }));
    for (let n = first; n < last; n++) drawn.push(row(shown[n], n));
    if (moment !== null) {
      const y = top(after(moment));
      drawn.push(el('line', { x1: 0, x2: place.width, y1: y, y2: y, class: 'moment' }));
    }
    rows.replaceChildren(...lines, ...drawn);
    heads.replaceChildren(el('rect', { x: 0, y: 0, width: place.width, height: HEAD, class: 'heads' }),
      ...model.nodes.map(({ name, description }, n) => el('text', { x: x(n), y: 19, class: 'head' },
        el('title', {}, description), cut(name, place.column + 8))));
  }

  // The first row that begins after this moment.
  function after(t) {
    let [low, high] = [0, shown.length];
    while (low < high) {
      const middle = low + high >> 1;
      if (shown[middle].seen[0].t > t) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  function refresh() {
    if (!due) requestAnimationFrame(draw);
    due = true;
  }

  function reveal(n) {
    const room = box.clientHeight - HEAD;
    const above = box.scrollTop - n * place.height;
    const below = (n + 1) * place.height - room - box.scrollTop;
    if (above <= 0 && below <= 0) return;
    // a step moves by a row, and a jump to the middle
    if (Math.max(above, below) > 2 * place.height) box.scrollTop = (n + 0.5) * place.height - room / 2;
    else box.scrollTop += above > 0 ? -above : below;
  }

  box.addEventListener('scroll', refresh, { passive: true });
  new ResizeObserver(() => { measure(); refresh(); }).observe(box);

  return {
    filtered(journeys) {
      shown = journeys;
      measure();
      refresh();
    },
    choose(it) {
      chosen = it;
      if (it) {
        box.setAttribute('aria-activedescendant', `row-${it.id}`);
        const n = shown.indexOf(it);
        if (n >= 0) reveal(n);
      } else box.removeAttribute('aria-activedescendant');
      refresh();
    },
    at(t, scroll) {
      moment = t;
      if (scroll) box.scrollTop = (after(t) + 0.5) * place.height - (box.clientHeight - HEAD) / 2;
      refresh();
    },
    zoom(by) {
      const middle = box.scrollTop / place.height;
      zoom = Math.min(3, Math.max(0.6, zoom * by));
      measure();
      box.scrollTop = middle * place.height;
      refresh();
    },
    page: () => Math.max(1, Math.floor((box.clientHeight - HEAD) / place.height) - 1),
    shown: () => shown,
    box,
  };
})();

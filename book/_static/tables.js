// Makes the tables of a page sortable, searchable and filterable. Without it they stay as they are.
(() => {
  "use strict";
  const PAGE = 25;
  const tables = {};

  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // the words of every row, read before DataTables takes rows off the page
  function wordsOf(table) {
    return [...table.tBodies[0].rows].map((row) => JSON.parse(row.dataset.words || "{}"));
  }

  function offered(words, key) {
    const counts = new Map();
    for (const row of words) {
      for (const word of row[key] || []) counts.set(word, (counts.get(word) || 0) + 1);
    }
    return [...counts].sort((a, b) => a[0].localeCompare(b[0]));
  }

  function control(table, words, [key, label, kind]) {
    const id = `${table.id}-${key}`;
    if (kind === "text") {
      return element("input", { id, name: id, type: "search", autocomplete: "off" });
    }
    const select = element("select", { id, name: id }, element("option", { value: "" }, "all"));
    for (const [word, n] of offered(words, key)) {
      select.append(element("option", { value: word }, `${word} (${n})`));
    }
    return select;
  }

  function keeps(row, key, kind, wanted) {
    const words = row[key] || [];
    if (kind === "select") return words.includes(wanted);
    return words.some((word) => word.toLowerCase().includes(wanted.toLowerCase()));
  }

  function filterForm(table, words, filters, changed) {
    const form = element("form", { className: "rb-filters" });
    form.setAttribute("role", "search");
    form.setAttribute("aria-label", `Filter: ${table.caption.textContent}`);
    for (const filter of filters) {
      const field = element("label", {}, element("span", {}, filter[1]), control(table, words, filter));
      form.append(field);
    }
    form.append(element("button", { type: "reset" }, "Clear"));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", changed);
    form.addEventListener("reset", () => setTimeout(changed));
    return form;
  }

  // the address keeps what is filtered, so that a view can be passed on
  function remember(state) {
    const address = new URL(location.href);
    for (const [name, value] of Object.entries(state)) {
      if (value) address.searchParams.set(name, value);
      else address.searchParams.delete(name);
    }
    try {
      history.replaceState(history.state, "", address);
    } catch {
      // some browsers forbid it for a file
    }
  }

  function scrollInside(box, data, label) {
    const inside = data.table().container().querySelector(".dt-layout-table > *");
    for (const name of ["role", "tabindex", "aria-label"]) box.removeAttribute(name);
    box.classList.add("rb-ready");
    inside.classList.add("rb-scroll");
    inside.setAttribute("role", "region");
    inside.setAttribute("tabindex", "0");
    inside.setAttribute("aria-label", label);
  }

  function enhance(table) {
    const box = table.closest(".rb-data");
    const label = table.caption.textContent;
    const filters = JSON.parse(table.dataset.filters || "[]");
    const words = wordsOf(table);
    const long = words.length > PAGE;
    const numbers = [...table.tHead.rows[0].cells].flatMap((th, i) => (th.dataset.type ? [i] : []));
    const data = new window.DataTable(table, {
      autoWidth: false,
      columnDefs: [{ targets: numbers, type: "num" }],
      order: [],
      paging: long,
      pageLength: PAGE,
      lengthMenu: [PAGE, 50, 100, { label: "all", value: -1 }],
      layout: {
        topStart: "info",
        topEnd: "search",
        bottomStart: long ? "pageLength" : null,
        bottomEnd: long ? "paging" : null,
      },
      language: {
        search: "Search",
        info: "_START_–_END_ of _TOTAL_ rows",
        infoEmpty: "no rows",
        infoFiltered: "(of _MAX_ in all)",
        lengthMenu: "_MENU_ rows a page",
        zeroRecords: "No row fits these filters.",
      },
    });
    scrollInside(box, data, label);
    const view = { form: null, data };
    const value = (key) => view.form.elements[`${table.id}-${key}`].value.trim();
    const changed = () => {
      const wanted = filters.map(([key, , kind]) => [key, kind, value(key)]).filter((f) => f[2]);
      data.search.fixed("words", (_text, _cells, place) =>
        wanted.every(([key, kind, word]) => keeps(words[place], key, kind, word)));
      data.draw();
      remember(Object.fromEntries(filters.map(([key]) => [`${table.id}-${key}`, value(key)])));
      table.dispatchEvent(new CustomEvent("rb-filtered"));
    };
    if (filters.length) {
      view.form = filterForm(table, words, filters, changed);
      box.before(view.form);
      view.set = (chosen) => {
        view.form.reset();
        for (const [key, word] of Object.entries(chosen)) {
          const field = view.form.elements[`${table.id}-${key}`];
          if (field) field.value = word;
        }
        changed();
      };
      const asked = new URLSearchParams(location.search);
      const given = filters.map(([key]) => [key, asked.get(`${table.id}-${key}`)]);
      const chosen = Object.fromEntries(given.filter((pair) => pair[1]));
      if (Object.keys(chosen).length) view.set(chosen);
    }
    tables[table.id] = view;
  }

  // paper has no pages to turn: every row that the filters keep is printed
  let lengths = [];
  window.addEventListener("beforeprint", () => {
    const long = Object.values(tables).filter((view) => view.data.page.info().pages > 1);
    lengths = long.map((view) => [view, view.data.page.len()]);
    for (const [view] of lengths) view.data.page.len(-1).draw(false);
  });
  window.addEventListener("afterprint", () => {
    for (const [view, length] of lengths) view.data.page.len(length).draw(false);
    lengths = [];
  });

  window.replicationTables = tables;
  document.addEventListener("DOMContentLoaded", () => {
    if (!window.DataTable) return;
    document.querySelectorAll(".rb-data > table").forEach(enhance);
    document.dispatchEvent(new CustomEvent("rb-tables"));
  });
})();

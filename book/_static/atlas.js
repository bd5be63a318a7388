// The plots of the atlas: a click on a cell selects rows, filters of the table narrow the months.
(() => {
  "use strict";
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function recolour(plot) {
    const colour = ink("--rb-ink");
    for (const axis of [...plot.left, ...plot.right, ...plot.above, ...plot.below]) {
      if (axis.major_label_text_color !== undefined) axis.major_label_text_color = colour;
      if (axis.axis_label_text_color !== undefined) axis.axis_label_text_color = colour;
      if (axis.label_text_color !== undefined) axis.label_text_color = colour;
    }
    for (const shown of plot.renderers.filter((each) => each.name === "numbers")) {
      for (const glyph of [shown.glyph, shown.nonselection_glyph, shown.selection_glyph]) {
        if (glyph && glyph.text_color !== undefined) glyph.text_color = colour;
      }
    }
  }

  function selectRows(plot) {
    const cells = plot.document.get_model_by_name("cells");
    cells.selected.properties.indices.change.connect(() => {
      const [place] = cells.selected.indices;
      const view = window.replicationTables && window.replicationTables.papers;
      if (!view) return;
      const chosen = place === undefined
        ? {}
        : { task: cells.data.task[place], modality: cells.data.modality[place] };
      view.set(chosen);
      if (place !== undefined) {
        document.getElementById("papers").closest(".rb-data").previousElementSibling
          .scrollIntoView({ behavior: "smooth", block: "start" });
      }
    });
  }

  function narrowMonths(plot) {
    const source = plot.document.get_model_by_name("months");
    const table = document.getElementById("papers");
    const count = () => {
      const rows = window.replicationTables.papers.data.rows({ search: "applied" }).nodes().toArray();
      const words = rows.map((row) => JSON.parse(row.dataset.words));
      const n = (month, code) =>
        words.filter((each) => each.month[0] === month && each.code[0] === code).length;
      source.data = {
        month: source.data.month,
        linked: Array.from(source.data.month, (month) => n(month, "with a link")),
        without: Array.from(source.data.month, (month) => n(month, "without")),
      };
    };
    if (!table || !window.replicationTables || !window.replicationTables.papers) return;
    table.addEventListener("rb-filtered", count);
    if (location.search) count();
  }

  async function draw(item) {
    document.getElementById(item.dataset.plot).classList.add("rb-drawn");
    const views = await window.Bokeh.embed.embed_item(JSON.parse(item.textContent));
    const plot = views.roots[0].model;
    recolour(plot);
    new MutationObserver(() => recolour(plot)).observe(document.documentElement, {
      attributeFilter: ["data-theme"],
    });
    if (item.dataset.plot === "atlas-months") return narrowMonths(plot);
    // narrow columns have no room for slanted names
    if (item.parentElement.clientWidth < 600) plot.above[0].major_label_orientation = "vertical";
    selectRows(plot);
  }

  document.addEventListener("rb-tables", () => {
    if (window.Bokeh) document.querySelectorAll("script[data-plot]").forEach(draw);
  });
})();

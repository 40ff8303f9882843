/* Two recursions, live: words that are counted and drawn again, and a Gaussian that is fitted and sampled again.

   The first half computes and knows nothing of the page; `explorable.chains` gives a browser test its numbers. The
   second half draws. Model g is fitted to pool g, and pool 0 is human, as everywhere in this book. */
(function () {
  "use strict";

  /* Chance: sfc32 (Doty-Humphrey), seeded by splitmix32; normals by Marsaglia's polar method. */
  function chance(seed) {
    var state = [0, 0, 0, 1].map(function (last) {
      seed = (seed + 0x9e3779b9) | 0;
      var t = seed ^ (seed >>> 16);
      t = Math.imul(t, 0x21f0aaad);
      t = Math.imul(t ^ (t >>> 15), 0x735a2d97);
      return last || (t ^ (t >>> 15)) >>> 0;
    });
    var spare = null;
    function uniform() {
      var t = (((state[0] + state[1]) | 0) + state[3]) | 0;
      state[3] = (state[3] + 1) | 0;
      state[0] = state[1] ^ (state[1] >>> 9);
      state[1] = (state[2] + (state[2] << 3)) | 0;
      state[2] = (state[2] << 21) | (state[2] >>> 11);
      state[2] = (state[2] + t) | 0;
      return (t >>> 0) / 4294967296;
    }
    function normal() {
      var u, v, s, kept = spare;
      if (kept !== null) { spare = null; return kept; }
      do {
        u = 2 * uniform() - 1;
        v = 2 * uniform() - 1;
        s = u * u + v * v;
      } while (s >= 1 || s === 0);
      s = Math.sqrt(-2 * Math.log(s) / s);
      spare = v * s;
      return u * s;
    }
    for (var warm = 0; warm < 12; warm++) { uniform(); }
    return { uniform: uniform, normal: normal };
  }

  /* k of the items, all different, in random order. */
  function some(items, k, rng) {
    var all = items.slice();
    for (var i = 0; i < k; i++) {
      var j = i + Math.floor(rng.uniform() * (all.length - i)), held = all[i];
      all[i] = all[j];
      all[j] = held;
    }
    return all.slice(0, k);
  }

  /* Each family: what people give, a model fitted to items, and items drawn from a model. */
  var WORDS = 24;
  var zipf = (function () {
    var weights = [], total = 0;
    for (var k = 1; k <= WORDS; k++) { weights.push(1 / k); total += 1 / k; }
    return weights.map(function (weight) { return weight / total; });
  })();

  var families = {
    words: {
      human: function (n, rng) { return families.words.sample(zipf, n, rng); },
      fit: function (items) {
        var shares = zipf.map(function () { return 0; });
        items.forEach(function (word) { shares[word] += 1 / items.length; });
        return shares;
      },
      sample: function (shares, n, rng) {
        var ends = [], total = 0, items = [];
        shares.forEach(function (share) { total += share; ends.push(total); });
        for (var i = 0; i < n; i++) {
          var u = rng.uniform() * total, word = 0;
          while (u >= ends[word]) { word++; }
          items.push(word);
        }
        return items;
      },
      measure: function (shares) {
        return {
          alive: shares.filter(function (share) { return share > 0; }).length,
          diversity: 1 - shares.reduce(function (sum, share) { return sum + share * share; }, 0)
        };
      }
    },
    gaussian: {
      human: function (n, rng) { return families.gaussian.sample({ mean: 0, variance: 1 }, n, rng); },
      fit: function (items) {
        var mean = items.reduce(function (sum, x) { return sum + x; }, 0) / items.length;
        var squares = items.reduce(function (sum, x) { return sum + (x - mean) * (x - mean); }, 0);
        return { mean: mean, variance: squares / (items.length - 1) };
      },
      sample: function (model, n, rng) {
        var items = [], sd = Math.sqrt(model.variance);
        for (var i = 0; i < n; i++) { items.push(model.mean + sd * rng.normal()); }
        return items;
      },
      measure: function (model) { return { mean: model.mean, variance: model.variance }; }
    }
  };

  /* The pool of the next generation: what people gave, what models gave, and how many of each. */
  var regimes = {
    replace: function (chain, n) { return chain.family.sample(chain.model, n, chain.rng); },
    keep: function (chain, n, share) {
      var kept = Math.round(share * n);
      return some(chain.first, kept, chain.rng).concat(chain.family.sample(chain.model, n - kept, chain.rng));
    },
    fresh: function (chain, n, share) {
      var fresh = Math.round(share * n);
      return chain.family.human(fresh, chain.rng).concat(chain.family.sample(chain.model, n - fresh, chain.rng));
    },
    accumulate: function (chain, n) { return chain.pool.concat(chain.family.sample(chain.model, n, chain.rng)); }
  };

  function begin(name, settings, seed) {
    var rng = chance(seed), family = families[name], pool = family.human(settings.n, rng);
    return { family: family, rng: rng, first: pool, pool: pool, model: family.fit(pool), g: 0 };
  }

  function advance(chain, settings) {
    chain.pool = regimes[settings.regime](chain, settings.n, settings.share);
    chain.model = chain.family.fit(chain.pool);
    chain.g += 1;
  }

  /* What is measured of several chains: {metric: [generation][chain]}. */
  function chains(name, settings, generations, count, seed) {
    var found = {};
    for (var number = 0; number < count; number++) {
      var chain = begin(name, settings, seed + 7919 * number);
      for (var g = 0; g <= generations; g++) {
        if (g > 0) { advance(chain, settings); }
        var measured = chain.family.measure(chain.model);
        Object.keys(measured).forEach(function (metric) {
          found[metric] = found[metric] || [];
          found[metric][g] = found[metric][g] || [];
          found[metric][g][number] = measured[metric];
        });
      }
    }
    return found;
  }

  window.explorable = { chains: chains, zipf: zipf };

  /* ------------------------------------------------------------------------------------------------------------ */

  var box = document.getElementById("explorable");
  if (!box) { return; }
  var SVG = "http://www.w3.org/2000/svg", COMPANIONS = 11, MOST = 200;
  var WIDE = 320, HIGH = 170, PAD = 6;
  var still = window.matchMedia("(prefers-reduced-motion: reduce)");
  var state = { timer: null, seed: 1, words: null, gaussians: null, paths: null, alive: null };

  function part(name) { return box.querySelector("[data-part=" + name + "]"); }

  function settings() {
    return {
      n: Math.round(Math.pow(10, +part("size").value)),
      share: +part("share").value / 100,
      regime: part("regime").value
    };
  }

  function draw(svg, tag, attributes) {
    var made = document.createElementNS(SVG, tag);
    Object.keys(attributes).forEach(function (name) { made.setAttribute(name, attributes[name]); });
    svg.appendChild(made);
    return made;
  }

  function line(points) {
    return points.map(function (p, i) { return (i ? "L" : "M") + p[0].toFixed(1) + " " + p[1].toFixed(1); }).join("");
  }

  function showWords() {
    var svg = part("words"), shares = state.words.model, step = (WIDE - 2 * PAD) / WORDS;
    var top = Math.max(Math.max.apply(null, shares), zipf[0]);
    svg.replaceChildren();
    shares.forEach(function (share, k) {
      var x = PAD + k * step, at = function (value) { return HIGH - PAD - (HIGH - 3 * PAD) * value / top; };
      draw(svg, "rect", { "class": "human", x: x + 1, width: step - 2, y: at(zipf[k]), height: HIGH - PAD - at(zipf[k]) });
      if (share > 0) {
        draw(svg, "rect", { "class": "model", x: x + 3, width: step - 6, y: at(share), height: HIGH - PAD - at(share) });
      } else {
        draw(svg, "path", { "class": "dead", d: line([[x + 3, HIGH - PAD - 8], [x + step - 3, HIGH - PAD]]) });
        draw(svg, "path", { "class": "dead", d: line([[x + 3, HIGH - PAD], [x + step - 3, HIGH - PAD - 8]]) });
      }
    });
  }

  function density(mean, sd) {
    var points = [];
    for (var i = 0; i <= 160; i++) {
      var x = -4 + i / 20, height = Math.exp(-0.5 * Math.pow((x - mean) / sd, 2)) / sd;
      points.push([PAD + (WIDE - 2 * PAD) * i / 160, HIGH - PAD - (HIGH - 3 * PAD) * Math.min(height / 2, 1)]);
    }
    return line(points);
  }

  function showGaussian() {
    var svg = part("gaussian"), model = state.gaussians[0].model;
    svg.replaceChildren();
    draw(svg, "path", { "class": "human", d: density(0, 1) });
    draw(svg, "path", { "class": "model", d: density(model.mean, Math.max(Math.sqrt(model.variance), 0.01)) });
  }

  /* One panel for each history: how many words live, and how wide each of a dozen Gaussians is. */
  function showPaths() {
    var across = Math.max(state.words.g, 20);
    function x(g) { return PAD + (WIDE - 2 * PAD) * g / across; }
    function y(share) { return HIGH - PAD - (HIGH - 2 * PAD) * Math.min(share, 1); }
    var svg = part("alive");
    svg.replaceChildren();
    draw(svg, "path", { "class": "human", d: line([[x(0), y(1)], [x(across), y(1)]]) });
    draw(svg, "path", {
      "class": "model", d: line(state.alive.map(function (count, g) { return [x(g), y(count / WORDS)]; }))
    });
    svg = part("widths");
    svg.replaceChildren();
    draw(svg, "path", { "class": "human", d: line([[x(0), y(1 / 1.6)], [x(across), y(1 / 1.6)]]) });
    state.paths.slice().reverse().forEach(function (path, back) {
      var first = back === state.paths.length - 1;
      draw(svg, "path", {
        "class": first ? "model" : "others", d: line(path.map(function (sd, g) { return [x(g), y(sd / 1.6)]; }))
      });
    });
  }

  function show() {
    showWords();
    showGaussian();
    showPaths();
    var model = state.gaussians[0].model;
    part("said").textContent = "generation " + state.words.g + ": " + state.alive[state.words.g] + " of " + WORDS +
      " words alive, standard deviation " + Math.sqrt(model.variance).toFixed(2);
  }

  function note() {
    state.alive.push(families.words.measure(state.words.model).alive);
    state.gaussians.forEach(function (chain, k) { state.paths[k].push(Math.sqrt(chain.model.variance)); });
  }

  function restart() {
    var chosen = settings();
    state.seed += 1;
    state.words = begin("words", chosen, state.seed);
    state.gaussians = [];
    for (var k = 0; k <= COMPANIONS; k++) { state.gaussians.push(begin("gaussian", chosen, 1000 * state.seed + k)); }
    state.paths = state.gaussians.map(function () { return []; });
    state.alive = [];
    note();
    show();
  }

  function step() {
    if (state.words.g >= MOST) { stop(); return; }
    var chosen = settings();
    advance(state.words, chosen);
    state.gaussians.forEach(function (chain) { advance(chain, chosen); });
    note();
    show();
  }

  function stop() {
    clearInterval(state.timer);
    state.timer = null;
    part("play").textContent = "Play";
    part("said").setAttribute("aria-live", "polite");
  }

  function play() {
    clearInterval(state.timer);
    part("play").textContent = "Pause";
    part("said").setAttribute("aria-live", "off");  /* or every generation would be read out */
    state.timer = setInterval(step, 1000 / +part("speed").value);
  }

  function label() {
    var chosen = settings(), mixed = chosen.regime === "keep" || chosen.regime === "fresh";
    var kept = Math.round(chosen.share * chosen.n);
    part("share").disabled = !mixed;
    [["size", chosen.n + " items"], ["share", mixed ? kept + " of " + chosen.n : "no share in this regime"],
      ["speed", part("speed").value + " generations a second"]].forEach(function (pair) {
      part(pair[0] + "-said").textContent = pair[1];
      part(pair[0]).setAttribute("aria-valuetext", pair[1]);
    });
  }

  part("play").hidden = still.matches;  /* who prefers less motion steps */
  still.addEventListener("change", function () { stop(); part("play").hidden = still.matches; });
  part("play").addEventListener("click", function () { if (state.timer) { stop(); } else { play(); } });
  part("step").addEventListener("click", function () { stop(); step(); });
  part("again").addEventListener("click", function () { stop(); restart(); });
  ["size", "regime"].forEach(function (name) {  /* another size or regime is another experiment */
    part(name).addEventListener("input", function () { stop(); label(); restart(); });
  });
  part("share").addEventListener("input", label);  /* but people may come back in the middle of one */
  part("speed").addEventListener("input", function () { label(); if (state.timer) { play(); } });
  label();
  restart();
})();

"use strict";

const study = JSON.parse(document.getElementById("study").textContent);
const STORED = `study-${study.hash}`;
const BLANK_MS = 350; // between two pairs, so that no answer is meant for the pair before
const find = (selector) => document.querySelector(selector);
const sections = ["start", "trial", "end"].map((id) => document.getElementById(id));
const pair = find(".pair");
const images = [...pair.querySelectorAll("img")];

// ---- what is kept over a reload ----

/** A participant's state: id, list, time of the start, and the answers in the order of the list. */
let state = load();
let keeps = true;

/** Whether a stored state is one of this study, with answers to the first pairs of its list. */
function isUsable(stored) {
  const pairs = study.lists[stored?.list_index];
  return (
    Array.isArray(pairs) && typeof stored.participant === "string" && typeof stored.started === "string"
    && Array.isArray(stored.answers) && stored.answers.length <= pairs.length
    && stored.answers.every((answer, index) => answer.trial === pairs[index][0])
  );
}

function load() {
  try {
    const stored = JSON.parse(localStorage.getItem(STORED));
    return isUsable(stored) ? stored : null;
  } catch {
    return null;
  }
}

function keep() {
  try {
    localStorage.setItem(STORED, JSON.stringify(state));
  } catch {
    keeps = false; // the browser stores nothing for this page; the answers are lost on a reload
  }
}

/** A random whole number below `limit`. */
function below(limit) {
  return crypto.getRandomValues(new Uint32Array(1))[0] % limit;
}

function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(4))].map((n) => n.toString(16).padStart(2, "0")).join("");
}

// ---- the pairs ----

let shownAt = null; // when the present pair appeared; null while no answer is taken
let turn = 0; // raised with each pair and each stop, so that what was begun before has no effect
let timer = 0;

function show(id) {
  for (const section of sections) section.hidden = section.id !== id;
  find(`#${id} h1`).focus();
}

function begin() {
  if (!state) {
    const participant = find("#participant").value.trim() || randomId();
    state = { participant, list_index: below(study.lists.length), started: new Date().toISOString(), answers: [] };
    keep();
  }
  show("trial");
  next();
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** Show the next pair that has no answer, or the end. */
async function next() {
  const mine = ++turn;
  const pairs = study.lists[state.list_index], done = state.answers.length;
  clearTimeout(timer);
  shownAt = null;
  if (done === pairs.length) return end();
  pair.className = "pair blank";
  find("#trial progress").value = done;
  find("#trial output").value = `${done + 1} of ${pairs.length}`;
  images.forEach((image, side) => { image.src = study.images[pairs[done][side + 1]]; });
  // Decoding fails if another pair is put in place meanwhile, which `turn` then tells.
  await Promise.all([wait(BLANK_MS), ...images.map((image) => image.decode().catch(() => {}))]);
  if (mine !== turn) return;
  pair.className = "pair";
  shownAt = performance.now();
  if (study.seconds !== null) timer = setTimeout(() => { pair.className = "pair gone"; }, 1000 * study.seconds);
}

function choose(choice) {
  if (shownAt === null) return;
  const trial = study.lists[state.list_index][state.answers.length][0];
  state.answers.push({ trial, choice, seconds: Math.round(performance.now() - shownAt) / 1000 });
  keep();
  next();
}

for (const side of ["left", "right"]) document.getElementById(side).addEventListener("click", () => choose(side));
document.addEventListener("keydown", (event) => {
  const side = { ArrowLeft: "left", ArrowRight: "right" }[event.key];
  if (!side || sections[1].hidden || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  choose(side);
});

// ---- the end ----

function end() {
  turn += 1;
  clearTimeout(timer);
  shownAt = null;
  const done = state.answers.length, all = study.lists[state.list_index].length;
  find("#end h1").textContent = done === all ? "Thank you!" : "Stopped";
  find("#summary").textContent = `You have answered ${done} of ${all} pairs. `
    + (done ? "Save your answers, and give the file to the person who invited you." : "There is nothing to save yet.");
  find("#save").hidden = done === 0;
  find("#continue").hidden = done === all;
  find("#saved").textContent = "";
  find("#another").hidden = true;
  show("end");
}

function save() {
  const { participant, list_index, started, answers } = state;
  const record = { schema_version: 1, study: study.hash, participant, list_index, started, answers };
  const file = new Blob([`${JSON.stringify(record, null, 1)}\n`], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `answers-${participant.replace(/[^A-Za-z0-9]+/g, "-").replace(/^-|-$/g, "") || randomId()}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  find("#saved").textContent = `The browser saves ${link.download}, usually into the folder of downloads.`;
  find("#another").hidden = false;
}

function startAnew() {
  state = null;
  keep();
  open();
}

// ---- the start ----

function open() {
  const input = find("#participant"), kept = find("#kept");
  input.value = state ? state.participant : randomId();
  input.readOnly = state !== null;
  find(".field small").hidden = state !== null;
  kept.hidden = true;
  find("#begin").textContent = state ? "Continue" : "Start";
  if (state) {
    kept.textContent = `${state.answers.length} of ${study.lists[state.list_index].length} pairs are answered already.`;
    kept.hidden = false;
  } else {
    keep();
    if (!keeps) {
      kept.textContent = "This browser keeps nothing for this page: do not reload it before the answers are saved.";
      kept.hidden = false;
    }
  }
  show("start");
}

find("#begin").addEventListener("click", begin);
find("#stop").addEventListener("click", end);
find("#continue").addEventListener("click", begin);
find("#save").addEventListener("click", save);
find("#another button").addEventListener("click", startAnew);
open();

// Making and changing what is on the page. Text is always text here: nothing is ever parsed as markup.

/** Return the element with this id. */
export const at = (id) => document.getElementById(id);

/** Return a new element with these properties and children; what is not an element becomes text. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "scope") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Have an element say `text`; one that says so already is left alone. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Return a cell of a table. */
export const cell = (className = "", ...children) => make("td", { className }, ...children);

/** Return the cell that a row is called by. */
export const heading = (className = "", ...children) => make("th", { className, scope: "row" }, ...children);

/**
 * Keeps the rows of a table's body in step with a list: rows are made once and changed later, so that the focus, an open
 * menu and a half-made choice stay where they are.
 */
export class Rows {
  /** `create` returns {row, update(item)} for a new item; `keyOf` says which item is which. */
  constructor(body, keyOf, create) {
    this.body = body;
    this.keyOf = keyOf;
    this.create = create;
    this.made = new Map();
  }

  /** Show these items, in this order. */
  show(items) {
    const keys = new Set(items.map(this.keyOf));
    for (const [key, made] of this.made) {
      if (keys.has(key)) continue;
      made.row.remove();
      this.made.delete(key);
    }
    // A row that is moved loses the focus: while somebody is at one, all stay where they are.
    const busy = this.body.contains(document.activeElement);
    let before = this.body.firstElementChild;
    for (const item of items) {
      const key = this.keyOf(item);
      let made = this.made.get(key);
      if (!made) {
        made = this.create(item);
        this.made.set(key, made);
        this.body.insertBefore(made.row, before);
      } else if (made.row === before) {
        before = before.nextElementSibling;
      } else if (!busy) {
        this.body.insertBefore(made.row, before);
      }
      made.update?.(item);
    }
  }
}

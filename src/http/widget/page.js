// What the parts share to change the page, without HTML in strings.
function el(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const name in props) {
    if (name in node) node[name] = props[name];
    else node.setAttribute(name, props[name]);
  }
  node.append(...children);
  return node;
}
function write(node, text) { if (node.textContent !== text) node.textContent = text; }

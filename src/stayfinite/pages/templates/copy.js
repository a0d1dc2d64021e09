(function () {
  document.querySelectorAll('.sf-copy[hidden]').forEach(function (b) { b.hidden = false; });
  if (window.stayfiniteCopy) return;
  window.stayfiniteCopy = true;
  function byHand(text) {
    var area = document.createElement('textarea');
    area.value = text;
    area.style.position = 'fixed';
    document.body.appendChild(area);
    area.select();
    var done = document.execCommand('copy');
    area.remove();
    return done ? Promise.resolve() : Promise.reject();
  }
  document.addEventListener('click', function (event) {
    var button = event.target.closest && event.target.closest('.sf-copy');
    if (!button) return;
    var lines = button.closest('.sf-code').querySelectorAll(button.dataset.lines);
    var text = Array.prototype.map.call(lines, function (line) { return line.textContent; }).join('\n');
    if (button.dataset.trim) text = text.replace(/^[+-]/gm, '');
    var label = button.dataset.label || (button.dataset.label = button.textContent);
    var show = function (said) {
      button.textContent = said;
      setTimeout(function () { button.textContent = label; button.focus(); }, 1600);
    };
    var clipboard = navigator.clipboard;
    (clipboard ? clipboard.writeText(text).catch(function () { return byHand(text); }) : byHand(text))
      .then(function () { show('Copied'); }, function () { show('Select and copy by hand'); });
  });
})();

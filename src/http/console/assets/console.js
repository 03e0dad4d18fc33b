// What makes the pages more convenient. Everything works without it.
"use strict";

const announce = (text) => {
    const place = document.getElementById("announce");
    // A second text that is the same is announced only if the place was empty.
    place.textContent = "";
    setTimeout(() => { place.textContent = text; }, 50);
};
const words = () => document.getElementById("announce").dataset;

// Times in the zone of the reader.
function showLocalTimes() {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const format = new Intl.DateTimeFormat(document.documentElement.lang, {
        dateStyle: "medium", timeStyle: "short",
    });
    for (const time of document.querySelectorAll("time[datetime]")) {
        time.title = `${format.format(new Date(time.dateTime))} (${zone})`;
    }
    document.getElementById("zone").textContent = `${words().zone} ${zone}`;
}

// Buttons that copy the text of a field.
function makeCopyButtons() {
    for (const button of document.querySelectorAll("[data-copy]")) {
        const field = document.getElementById(button.dataset.copy);
        button.hidden = false;
        button.addEventListener("click", async () => {
            field.select();
            try {
                await navigator.clipboard.writeText(field.value);
                button.textContent = words().copied;
                announce(words().copied);
                kept();
            } catch {
                announce(words().notCopied);
            }
        });
        field.addEventListener("copy", kept);
    }
}

// A secret that is not copied yet: the browser asks before it leaves.
let unsaved = false;
const kept = () => {
    unsaved = false;
};
function guardSecret() {
    const secret = document.querySelector("[data-secret]");
    if (!secret) return;
    unsaved = true;
    addEventListener("beforeunload", (event) => {
        if (unsaved) {
            event.preventDefault();
            announce(secret.dataset.leave);
        }
    });
}

// A search field that hides what does not fit, while one types.
function makeFilters() {
    for (const field of document.querySelectorAll("[data-filter]")) {
        const list = document.getElementById(field.dataset.filter);
        if (!list) continue;
        field.closest("[data-filter-box]")?.removeAttribute("hidden");
        field.addEventListener("input", () => {
            const wanted = field.value.trim().toLowerCase();
            const items = [...list.querySelectorAll("tbody tr, label.tick")];
            for (const item of items) {
                item.hidden = !item.textContent.toLowerCase().includes(wanted);
            }
            for (const group of list.querySelectorAll("fieldset")) {
                group.hidden = !group.querySelector("label.tick:not([hidden])");
            }
            announce(`${items.filter((item) => !item.hidden).length} ${words().shown}`);
        });
    }
}

// A form that creates something is sent once.
function sendOnce() {
    for (const form of document.querySelectorAll("form[data-once]")) {
        let sent = false;
        form.addEventListener("submit", (event) => {
            if (sent) event.preventDefault();
            sent = true;
        });
        addEventListener("pageshow", () => { sent = false; });
    }
}

// The date is chosen with its day, and a link to a closed part opens it.
function helpForms() {
    const day = document.querySelector('input[name="expires_on"]');
    day?.addEventListener("input", () => {
        document.querySelector('input[name="expires"][value="date"]').checked = true;
    });
    const open = () => {
        const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
        if (target instanceof HTMLDetailsElement) target.open = true;
    };
    addEventListener("hashchange", open);
    open();
    document.getElementById("errors")?.focus();
}

showLocalTimes();
makeCopyButtons();
guardSecret();
makeFilters();
sendOnce();
helpForms();

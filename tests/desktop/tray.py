#!/usr/bin/python3
"""A StatusNotifier watcher that answers questions on its standard input: `label`, `menu`, `ticked`, `click TEXT`."""
import sys, json, dbus, dbus.service, dbus.mainloop.glib
from gi.repository import GLib
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SessionBus()
W = "org.kde.StatusNotifierWatcher"
class Watcher(dbus.service.Object):
    items = []
    @dbus.service.method(W, in_signature="s", sender_keyword="sender")
    def RegisterStatusNotifierItem(self, service, sender=None):
        item = (sender, service) if service.startswith("/") else (service, "/StatusNotifierItem")
        self.items.append(item)
    @dbus.service.method(W, in_signature="s")
    def RegisterStatusNotifierHost(self, service): pass
    @dbus.service.method(dbus.PROPERTIES_IFACE, in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        return {"IsStatusNotifierHostRegistered": True, "ProtocolVersion": 0, "RegisteredStatusNotifierItems": dbus.Array([], signature="s")}[name]
name = dbus.service.BusName(W, bus)
watcher = Watcher(bus, "/StatusNotifierWatcher")
def item():
    sender, path = watcher.items[-1]
    return bus.get_object(sender, path), sender
def layout():
    thing, sender = item()
    menu = dbus.Interface(thing, dbus.PROPERTIES_IFACE).Get("org.kde.StatusNotifierItem", "Menu")
    menu = dbus.Interface(bus.get_object(sender, menu), "com.canonical.dbusmenu")
    _, root = menu.GetLayout(0, -1, [])
    lines = []
    def walk(node):
        number, properties, children = node
        if properties.get("label"): lines.append((int(number), str(properties["label"]), bool(properties.get("enabled", True)), int(properties.get("toggle-state", 0)) == 1))
        for child in children: walk(child)
    walk(root)
    return menu, lines
def answer(line):
    word, _, rest = line.strip().partition(" ")
    if word == "label": return str(dbus.Interface(item()[0], dbus.PROPERTIES_IFACE).Get("org.kde.StatusNotifierItem", "XAyatanaLabel"))
    menu, lines = layout()
    if word == "menu": return [text for _, text, _, _ in lines]
    if word == "ticked": return [text for _, text, _, is_ticked in lines if is_ticked]
    if word == "click":
        number = next(n for n, text, is_enabled, _ in lines if is_enabled and text.replace("_", "").startswith(rest))
        menu.Event(number, "clicked", dbus.Int32(0), dbus.UInt32(0)); return "clicked"
def heard(source, _):
    line = source.readline()
    if not line: loop.quit(); return False
    try: out = answer(line)
    except Exception as error: out = {"error": str(error)}
    print(json.dumps(out), flush=True); return True
loop = GLib.MainLoop()
GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, heard)
print(json.dumps("ready"), flush=True)
loop.run()
